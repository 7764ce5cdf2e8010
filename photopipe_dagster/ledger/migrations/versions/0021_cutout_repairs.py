"""Cut-outs that people have repaired."""

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cutout_repairs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("sku", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("before", sa.String(64), nullable=False),
        sa.Column("after", sa.String(64), nullable=False),
        sa.Column("operations", sa.JSON, nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.Column("undone_by", sa.String(64)),
        sa.Column("undone_at", Utc),
        sa.PrimaryKeyConstraint("id", name="pk_cutout_repairs"),
    )
    op.create_index("ix_cutout_repairs_sku_sha256", "cutout_repairs", ["sku", "sha256"])


def downgrade() -> None:
    op.drop_table("cutout_repairs")
