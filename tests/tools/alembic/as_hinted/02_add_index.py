from alembic import op

revision = "02"
down_revision = "01"


def upgrade():
    with op.get_context().autocommit_block():
        op.create_index("orders_customer", "orders", ["customer_id"])


def downgrade():
    with op.get_context().autocommit_block():
        op.drop_index("orders_customer", "orders")
