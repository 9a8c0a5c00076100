from alembic import op

revision = "04"
down_revision = "03"


def upgrade():
    with op.get_context().autocommit_block():
        op.create_foreign_key("orders_customer_fkey", "orders", "customers", ["customer_id"], ["id"])


def downgrade():
    with op.get_context().autocommit_block():
        op.drop_constraint("orders_customer_fkey", "orders")
