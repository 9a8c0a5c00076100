from alembic import op

revision = "05"
down_revision = "04"


def upgrade():
    op.create_check_constraint("amount_not_negative", "orders", "amount >= 0")


def downgrade():
    op.drop_constraint("amount_not_negative", "orders")
