"""Events of jobs, and their deliveries to other programs."""
# ruff: noqa: S608  # the statements are made of nothing but the names below

import sqlalchemy as sa
from alembic import op

from photopipe_dagster.ledger.tables import Utc

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TRIGGERS = {
    "job.published": (
        "status",
        "NEW.status = 'DONE' AND OLD.status <> 'DONE'",
    ),
    "job.failed": (
        "status, retry_at",
        (
            "NEW.status = 'FAILED' AND NEW.retry_at IS NULL "
            "AND (OLD.status <> 'FAILED' OR OLD.retry_at IS NOT NULL)"
        ),
    ),
    "job.review_waiting": (
        "review, review_digest",
        (
            "NEW.review = 'waiting' AND (OLD.review IS NULL OR OLD.review <> 'waiting' "
            "OR OLD.review_digest <> NEW.review_digest)"
        ),
    ),
    "job.cancelled": (
        "status",
        "NEW.status = 'CANCELLED' AND OLD.status <> 'CANCELLED'",
    ),
    "job.rejected": (
        "status",
        "NEW.status = 'REJECTED' AND OLD.status <> 'REJECTED'",
    ),
    "job.unpublished": (
        "media_id",
        "NEW.media_id IS NULL AND OLD.media_id IS NOT NULL",
    ),
}


def upgrade() -> None:
    op.create_table(
        "job_events",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("job_id", sa.String(16)),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("at", Utc, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "event_deliveries",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("endpoint", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("job_id", sa.String(16)),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", Utc, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("says", sa.Text),
        sa.Column("created_at", Utc, nullable=False),
        sa.Column("updated_at", Utc, nullable=False),
        sa.UniqueConstraint("event_id", "endpoint", name="uq_event_deliveries_event_id_endpoint"),
    )
    op.create_index("ix_event_deliveries_state_due_at", "event_deliveries", ["state", "due_at"])
    postgres = op.get_bind().dialect.name == "postgresql"
    for kind, (columns, when) in _TRIGGERS.items():
        name = _name(kind)
        body = (
            f"INSERT INTO job_events (job_id, kind, at) VALUES (NEW.id, '{kind}', NEW.updated_at);"
        )
        action = f"BEGIN {body} END"
        if postgres:
            op.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {body} RETURN NULL; END $$"
            )
            action = f"EXECUTE FUNCTION {name}()"
        op.execute(
            f"CREATE TRIGGER {name} AFTER UPDATE OF {columns} ON jobs FOR EACH ROW "
            f"WHEN ({when}) {action}"
        )


def downgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for kind in _TRIGGERS:
        op.execute(f"DROP TRIGGER {_name(kind)}{' ON jobs' if postgres else ''}")
        if postgres:
            op.execute(f"DROP FUNCTION {_name(kind)}()")
    op.drop_table("event_deliveries")
    op.drop_table("job_events")


def _name(kind: str) -> str:
    return kind.replace(".", "_event_")
