from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0008_rename_column")]

    operations = [
        migrations.RunSQL(
            'ALTER TABLE orders DROP COLUMN legacy /* tidegate:allow=drop-column reason="nobody reads it" */',
            "ALTER TABLE orders ADD COLUMN legacy text",
            state_operations=[migrations.RemoveField("Order", "legacy")],
        ),
    ]
