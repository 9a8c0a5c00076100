from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0005_add_check")]

    operations = [
        migrations.AlterField("Order", "note", models.TextField()),
    ]
