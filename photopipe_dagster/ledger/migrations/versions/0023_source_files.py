"""Files of sources and what became of them, and the SKUs that the shop lists."""

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_files",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("theme", sa.String(64)),
        sa.Column("sku", sa.String(255)),
        sa.Column("job_id", sa.String(16)),
        sa.Column("seen_at", Utc, nullable=False),
        sa.Column("settled_at", Utc),
        sa.Column("settled_by", sa.String(64)),
    )
    op.create_index("ix_source_files_state_seen_at", "source_files", ["state", "seen_at"])
    op.create_table(
        "shop_skus",
        sa.Column("sku", sa.String(255), primary_key=True),
        sa.Column("barcode", sa.String(255)),
        sa.Column("title", sa.Text),
    )
    op.create_index("ix_shop_skus_barcode", "shop_skus", ["barcode"])


def downgrade() -> None:
    op.drop_table("shop_skus")
    op.drop_table("source_files")
