from alembic import op

revision = "02"
down_revision = "01"


def upgrade():
    op.create_index("orders_customer", "orders", ["customer_id"])


def downgrade():
    op.drop_index("orders_customer", "orders")
