import sqlalchemy as sa
from alembic import op

revision = "09"
down_revision = "08"


def upgrade():
    op.execute('ALTER TABLE orders DROP COLUMN legacy /* tidegate:allow=drop-column reason="nobody reads it" */')


def downgrade():
    op.add_column("orders", sa.Column("legacy", sa.Text))
