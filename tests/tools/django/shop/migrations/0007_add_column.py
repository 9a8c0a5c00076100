from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0006_set_not_null")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE orders ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()",
            "ALTER TABLE orders DROP COLUMN token",
            state_operations=[migrations.AddField("Order", "token", models.UUIDField())],
        ),
    ]
