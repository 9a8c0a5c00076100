from alembic import op

revision = "08"
down_revision = "07"


def upgrade():
    op.execute('ALTER TABLE orders RENAME COLUMN note TO remark /* tidegate:allow=rename-column reason="nobody reads it" */')


def downgrade():
    op.execute('ALTER TABLE orders RENAME COLUMN remark TO note /* tidegate:allow=rename-column reason="nobody reads it" */')
