"""The hops of pictures from one provider of a route to the next."""

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "route_hops",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("place", sa.String(1200), nullable=False),
        sa.Column("job_id", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("next", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", Utc, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_route_hops"),
    )
    op.create_index("ix_route_hops_place", "route_hops", ["place"])


def downgrade() -> None:
    op.drop_table("route_hops")
