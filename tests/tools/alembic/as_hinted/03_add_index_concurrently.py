from alembic import op

revision = "03"
down_revision = "02"


def upgrade():
    with op.get_context().autocommit_block():
        op.create_index("orders_placed_at", "orders", ["placed_at"], postgresql_concurrently=True)


def downgrade():
    with op.get_context().autocommit_block():
        op.drop_index("orders_placed_at", "orders", postgresql_concurrently=True)
