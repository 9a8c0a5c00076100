import sqlalchemy as sa
from alembic import op

revision = "09"
down_revision = "08"


def upgrade():
    op.drop_column("orders", "legacy")


def downgrade():
    op.add_column("orders", sa.Column("legacy", sa.Text))
