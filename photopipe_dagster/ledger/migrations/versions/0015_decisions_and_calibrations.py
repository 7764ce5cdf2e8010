"""What people decided of pictures, with all that was measured of them, and limits of the shop."""

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", _number(), nullable=False),
        sa.Column("job_id", sa.String(16), nullable=False),
        sa.Column("sku", sa.String(255), nullable=False),
        sa.Column("theme", sa.String(64), nullable=False),
        sa.Column("variant", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("kind", sa.String(32)),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("quality", sa.JSON),
        sa.Column("made", sa.JSON),
        sa.Column("held_at", Utc),
        sa.Column("outcome", sa.String(20)),
        sa.Column("note", sa.Text),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_at", Utc),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_job_id", "decisions", ["job_id"])
    op.create_index("ix_decisions_decided_at", "decisions", ["decided_at"])
    op.create_table(
        "calibrations",
        sa.Column("id", _number(), nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calibrations"),
    )


def downgrade() -> None:
    op.drop_table("calibrations")
    op.drop_table("decisions")


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")
