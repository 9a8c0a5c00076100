from alembic import op

revision = "08"
down_revision = "07"


def upgrade():
    op.alter_column("orders", "note", new_column_name="remark")


def downgrade():
    op.alter_column("orders", "remark", new_column_name="note")
