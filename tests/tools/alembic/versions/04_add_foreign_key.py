from alembic import op

revision = "04"
down_revision = "03"


def upgrade():
    op.create_foreign_key("orders_customer_fkey", "orders", "customers", ["customer_id"], ["id"])


def downgrade():
    op.drop_constraint("orders_customer_fkey", "orders")
