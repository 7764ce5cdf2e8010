"""Backfills that people asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("batch_id", sa.String(length=16), nullable=True))
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=16), primary_key=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("started_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(), nullable=True),
        sa.Column("estimate", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "batch_items",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("batch_id", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.String(length=16), nullable=False),
        sa.Column("partition_key", sa.String(length=400), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("batch_id", "job_id", name="uq_batch_items_batch_id_job_id"),
    )
    op.create_index(
        "ix_batch_items_waits",
        "batch_items",
        ["id"],
        sqlite_where=sa.text("waits"),
        postgresql_where=sa.text("waits"),
    )


def downgrade() -> None:
    op.drop_table("batch_items")
    op.drop_table("batches")
    op.drop_column("jobs", "batch_id")
