"""Counts of jobs that are kept as jobs change, and indexes that lists are read from."""
# ruff: noqa: S608  # the statements are made of nothing but the names above

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_OLD_INDEXES = {
    "ix_jobs_created_at": ["created_at"],
    "ix_jobs_status_created_at": ["status", "created_at"],
    "ix_jobs_theme": ["theme"],
}
_NEW_INDEXES = {
    "ix_jobs_created_at_id": ["created_at", "id"],
    "ix_jobs_status_created_at_id": ["status", "created_at", "id"],
    "ix_jobs_theme_created_at_id": ["theme", "created_at", "id"],
    "ix_jobs_theme_status_created_at_id": ["theme", "status", "created_at", "id"],
}

_COST = "{row}.segmentation_cost + {row}.background_cost"
_ADD = (
    "INSERT INTO job_counts (status, theme, jobs, cost, retries) "
    f"VALUES (NEW.status, NEW.theme, 1, {_COST.format(row='NEW')}, NEW.retry_count);"
)
_TAKE = (
    "INSERT INTO job_counts (status, theme, jobs, cost, retries) "
    f"VALUES (OLD.status, OLD.theme, -1, -({_COST.format(row='OLD')}), -OLD.retry_count);"
)
_COUNTED = ("status", "theme", "segmentation_cost", "background_cost", "retry_count")
_CHANGED = " OR ".join(f"OLD.{column} <> NEW.{column}" for column in _COUNTED)
_EVENTS = {
    "insert": ("INSERT", "", _ADD),
    "update": (f"UPDATE OF {', '.join(_COUNTED)}", f"WHEN ({_CHANGED})", _TAKE + _ADD),
    "delete": ("DELETE", "", _TAKE),
}


def upgrade() -> None:
    op.create_table(
        "job_counts",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("theme", sa.String(length=64), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("retries", sa.BigInteger(), nullable=False),
    )
    op.execute(
        "INSERT INTO job_counts (status, theme, jobs, cost, retries) "
        f"SELECT status, theme, count(*), sum({_COST.format(row='jobs')}), sum(retry_count) "
        "FROM jobs GROUP BY status, theme"
    )
    for name, (event, when, body) in _EVENTS.items():
        trigger = f"job_counts_{name}"
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {body} RETURN NULL; END $$"
            )
            body = f"EXECUTE FUNCTION {trigger}()"
        else:
            body = f"BEGIN {body} END"
        op.execute(f"CREATE TRIGGER {trigger} AFTER {event} ON jobs FOR EACH ROW {when} {body}")
    _replace_indexes(_OLD_INDEXES, _NEW_INDEXES)


def downgrade() -> None:
    _replace_indexes(_NEW_INDEXES, _OLD_INDEXES)
    postgres = op.get_bind().dialect.name == "postgresql"
    for name in _EVENTS:
        op.execute(f"DROP TRIGGER job_counts_{name}" + (" ON jobs" if postgres else ""))
        if postgres:
            op.execute(f"DROP FUNCTION job_counts_{name}()")
    op.drop_table("job_counts")


def _replace_indexes(old: dict[str, list[str]], new: dict[str, list[str]]) -> None:
    for name in old:
        op.drop_index(name, "jobs")
    for name, columns in new.items():
        op.create_index(name, "jobs", columns)
