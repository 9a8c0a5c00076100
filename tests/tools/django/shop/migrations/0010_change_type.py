from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0009_drop_column")]

    operations = [
        migrations.AlterField("Order", "amount", models.BigIntegerField()),
    ]
