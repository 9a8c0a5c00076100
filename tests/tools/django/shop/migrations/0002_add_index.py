from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_create_tables")]

    operations = [
        migrations.AddIndex("Order", models.Index(fields=["customer"], name="orders_customer")),
    ]
