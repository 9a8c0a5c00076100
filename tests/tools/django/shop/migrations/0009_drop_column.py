from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0008_rename_column")]

    operations = [
        migrations.RemoveField("Order", "legacy"),
    ]
