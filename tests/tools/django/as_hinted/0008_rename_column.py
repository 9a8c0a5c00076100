from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0007_add_column")]

    operations = [
        migrations.RunSQL(
            'ALTER TABLE orders RENAME COLUMN note TO remark /* tidegate:allow=rename-column reason="nobody reads it" */',
            'ALTER TABLE orders RENAME COLUMN remark TO note /* tidegate:allow=rename-column reason="nobody reads it" */',
            state_operations=[migrations.RenameField("Order", "note", "remark")],
        ),
    ]
