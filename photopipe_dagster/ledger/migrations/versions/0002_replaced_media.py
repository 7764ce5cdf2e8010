"""What a media took the place of, and when it was taken off its product."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("media", sa.Column("replaces_media_id", sa.String(length=128), nullable=True))
    op.add_column("media", sa.Column("detached_at", sa.DateTime(), nullable=True))
    op.add_column("media", sa.Column("restored_at", sa.DateTime(), nullable=True))


def downgrade() -> None:
    for column in ("restored_at", "detached_at", "replaces_media_id"):
        op.drop_column("media", column)
