"""Browsers that are signed in, so that every process of the API knows them."""

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("token_id", sa.BigInteger, nullable=False),
        sa.Column("ends_at", Utc, nullable=False),
    )
    op.create_index("ix_sessions_ends_at", "sessions", ["ends_at"])


def downgrade() -> None:
    op.drop_table("sessions")
