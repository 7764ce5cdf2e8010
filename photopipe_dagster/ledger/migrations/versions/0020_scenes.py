"""Scenes, and how large products are in life."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scenes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content_type", sa.String(32), nullable=False),
        sa.Column("view", sa.JSON, nullable=False),
        sa.Column("confidence", sa.JSON, nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("model", sa.String(128)),
        sa.Column("prompt", sa.Text),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("made_at", sa.DateTime, nullable=False),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_at", sa.DateTime),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scenes")),
        sa.UniqueConstraint("name", "revision", name=op.f("uq_scenes_name_revision")),
    )
    op.create_table(
        "product_sizes",
        sa.Column("sku", sa.String(255), nullable=False),
        sa.Column("height_cm", sa.Float),
        sa.Column("size_class", sa.String(2)),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_product_sizes")),
    )


def downgrade() -> None:
    op.drop_table("product_sizes")
    op.drop_table("scenes")
