from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0004_add_foreign_key")]

    operations = [
        migrations.AddConstraint("Order", models.CheckConstraint(check=models.Q(amount__gte=0), name="amount_not_negative")),
    ]
