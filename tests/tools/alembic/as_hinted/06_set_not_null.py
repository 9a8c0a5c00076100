from alembic import op

revision = "06"
down_revision = "05"


def upgrade():
    with op.get_context().autocommit_block():
        op.alter_column("orders", "note", nullable=False)


def downgrade():
    with op.get_context().autocommit_block():
        op.alter_column("orders", "note", nullable=True)
