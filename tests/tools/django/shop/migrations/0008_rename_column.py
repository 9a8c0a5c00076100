from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0007_add_column")]

    operations = [
        migrations.RenameField("Order", "note", "remark"),
    ]
