import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "07"
down_revision = "06"


def upgrade():
    op.add_column("orders", sa.Column("token", UUID, nullable=False, server_default=sa.text("gen_random_uuid()")))


def downgrade():
    op.drop_column("orders", "token")
