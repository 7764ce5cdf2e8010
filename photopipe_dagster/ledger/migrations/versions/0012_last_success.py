"""When a service last did what it is there for."""

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("breakers", sa.Column("last_success_at", Utc))


def downgrade() -> None:
    op.drop_column("breakers", "last_success_at")
