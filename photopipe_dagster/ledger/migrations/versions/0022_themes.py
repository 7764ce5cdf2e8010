"""Themes that the shop makes, and which revision of its theme made a job's picture."""

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "themes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_themes"),
        sa.UniqueConstraint("name", "revision", name="uq_themes_name_revision"),
    )
    op.add_column("jobs", sa.Column("theme_revision", sa.Integer))


def downgrade() -> None:
    op.drop_column("jobs", "theme_revision")
    op.drop_table("themes")
