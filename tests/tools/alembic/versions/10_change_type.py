import sqlalchemy as sa
from alembic import op

revision = "10"
down_revision = "09"


def upgrade():
    op.alter_column("orders", "amount", type_=sa.BigInteger)


def downgrade():
    op.alter_column("orders", "amount", type_=sa.Integer)
