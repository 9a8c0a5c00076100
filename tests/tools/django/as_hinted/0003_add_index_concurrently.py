from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0002_add_index")]

    operations = [
        AddIndexConcurrently("Order", models.Index(fields=["placed_at"], name="orders_placed_at")),
    ]
