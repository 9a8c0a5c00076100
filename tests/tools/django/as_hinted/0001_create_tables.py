import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations = [
        migrations.RunSQL(
            [
                "CREATE TABLE customers (id bigserial PRIMARY KEY, name text NOT NULL)",
                "CREATE TABLE orders (id bigserial PRIMARY KEY, amount integer NOT NULL, note text, placed_at timestamptz NOT NULL, legacy text, "
                "customer_id bigint NOT NULL)",
            ],
            [
                'DROP TABLE orders /* tidegate:allow=drop-table reason="the shop closes" */',
                'DROP TABLE customers /* tidegate:allow=drop-table reason="the shop closes" */',
            ],
            state_operations=[
                migrations.CreateModel(
                    name="Customer",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True)),
                        ("name", models.TextField()),
                    ],
                    options={"db_table": "customers"},
                ),
                migrations.CreateModel(
                    name="Order",
                    fields=[
                        ("id", models.BigAutoField(primary_key=True)),
                        ("customer", models.ForeignKey("shop.Customer", django.db.models.deletion.PROTECT, db_constraint=False, db_index=False)),
                        ("amount", models.IntegerField()),
                        ("note", models.TextField(null=True)),
                        ("placed_at", models.DateTimeField()),
                        ("legacy", models.TextField(null=True)),
                    ],
                    options={"db_table": "orders"},
                ),
            ],
        ),
    ]
