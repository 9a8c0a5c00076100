import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0003_add_index_concurrently")]

    operations = [
        migrations.AlterField("Order", "customer", models.ForeignKey("shop.Customer", django.db.models.deletion.PROTECT, db_index=False)),
    ]
