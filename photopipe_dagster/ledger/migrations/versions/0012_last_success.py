"""When a service last did what it is there for, and what photos wait for, in an index."""

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("breakers", sa.Column("last_success_at", Utc))
    _index("retry_at", "waits_for")


def downgrade() -> None:
    _index("retry_at")
    op.drop_column("breakers", "last_success_at")


def _index(*columns: str) -> None:
    which = sa.text("retry_at IS NOT NULL")
    op.drop_index("ix_jobs_retry_at", "jobs")
    op.create_index("ix_jobs_retry_at", "jobs", columns, sqlite_where=which, postgresql_where=which)
