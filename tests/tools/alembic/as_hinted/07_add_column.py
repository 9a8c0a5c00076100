import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "07"
down_revision = "06"


def upgrade():
    with op.get_context().autocommit_block():
        op.add_column("orders", sa.Column("token", UUID, nullable=False, server_default=sa.text("gen_random_uuid()")))


def downgrade():
    op.execute('ALTER TABLE orders DROP COLUMN token /* tidegate:allow=drop-column reason="never used" */')
