from alembic import op

revision = "06"
down_revision = "05"


def upgrade():
    op.alter_column("orders", "note", nullable=False)


def downgrade():
    op.alter_column("orders", "note", nullable=True)
