"""Reviews and their reasons, variants, timelines of jobs, tokens, and services that are down."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_JOB_COLUMNS = {
    "quality": sa.JSON(),
    "review": sa.String(length=12),
    "review_reasons": sa.JSON(),
    "review_digest": sa.String(length=64),
    "review_note": sa.Text(),
    "reviewed_by": sa.String(length=64),
    "reviewed_at": sa.DateTime(),
}
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("variant", sa.Integer(), nullable=False, server_default="1"))
    for name, kind in _JOB_COLUMNS.items():
        op.add_column("jobs", sa.Column(name, kind, nullable=True))
    op.create_index(
        "ix_jobs_review",
        "jobs",
        ["review", "updated_at"],
        sqlite_where=sa.text("review IS NOT NULL"),
        postgresql_where=sa.text("review IS NOT NULL"),
    )
    op.create_table(
        "steps",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("job_id", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=True),
        sa.Column("error_code", sa.String(length=32), nullable=True),
    )
    op.create_index("ix_steps_job_id", "steps", ["job_id"])
    op.create_index("ix_steps_ended_at", "steps", ["ended_at"])
    op.create_table(
        "tokens",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    op.create_table(
        "breakers",
        sa.Column("name", sa.String(length=64), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=True),
        sa.Column("retry_at", sa.DateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
    )


def downgrade() -> None:
    for table in ("breakers", "tokens", "steps"):
        op.drop_table(table)
    op.drop_index("ix_jobs_review", "jobs")
    for name in reversed(_JOB_COLUMNS):
        op.drop_column("jobs", name)
    op.drop_column("jobs", "variant")
