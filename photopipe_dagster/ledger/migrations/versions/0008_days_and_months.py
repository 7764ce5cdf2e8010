"""What happened in days that are over, and counts of jobs by the month in which they came."""
# ruff: noqa: S608  # the statements are made of nothing but the names below

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_COUNTED = ("status", "theme", "segmentation_cost", "background_cost", "retry_count")
_CHANGED = " OR ".join(f"OLD.{column} <> NEW.{column}" for column in _COUNTED)


def upgrade() -> None:
    op.create_table(
        "days",
        sa.Column("day", sa.DateTime(), nullable=False),
        sa.Column("measure", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("day", "measure", "name", name=op.f("pk_days")),
    )
    _drop_counts()
    _create_counts(by_month=True)


def downgrade() -> None:
    _drop_counts()
    _create_counts(by_month=False)
    op.drop_table("days")


def _drop_counts() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for name in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER job_counts_{name}" + (" ON jobs" if postgres else ""))
        if postgres:
            op.execute(f"DROP FUNCTION job_counts_{name}()")
    op.drop_table("job_counts")


def _create_counts(*, by_month: bool) -> None:
    """Make the table, count all jobs once, and have triggers keep the counts from then on."""
    postgres = op.get_bind().dialect.name == "postgresql"
    month = [sa.Column("month", sa.String(length=7), nullable=False)] if by_month else []
    op.create_table(
        "job_counts",
        sa.Column("id", _SERIAL, primary_key=True),
        *month,
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("theme", sa.String(length=64), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("retries", sa.BigInteger(), nullable=False),
    )
    groups = ["status", "theme"]
    of_row = ["{row}.status", "{row}.theme"]
    if by_month:
        groups.insert(0, "month")
        written = "to_char({row}.created_at, 'YYYY-MM')"
        of_row.insert(0, written if postgres else "substr({row}.created_at, 1, 7)")
    insert = f"INSERT INTO job_counts ({', '.join(groups)}, jobs, cost, retries)"
    named = ", ".join(of_row)
    cost = "{row}.segmentation_cost + {row}.background_cost"
    add = f"{insert} VALUES ({named}, 1, {cost}, {{row}}.retry_count);".format(row="NEW")
    take = f"{insert} VALUES ({named}, -1, -({cost}), -{{row}}.retry_count);".format(row="OLD")
    op.execute(
        f"{insert} SELECT {named}, count(*), sum({cost}), sum(retry_count) "
        f"FROM jobs GROUP BY {named}".format(row="jobs")
    )
    for name, event, when, body in (
        ("insert", "INSERT", "", add),
        ("update", f"UPDATE OF {', '.join(_COUNTED)}", f"WHEN ({_CHANGED})", take + add),
        ("delete", "DELETE", "", take),
    ):
        trigger = f"job_counts_{name}"
        action = f"BEGIN {body} END"
        if postgres:
            op.execute(
                f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {body} RETURN NULL; END $$"
            )
            action = f"EXECUTE FUNCTION {trigger}()"
        op.execute(f"CREATE TRIGGER {trigger} AFTER {event} ON jobs FOR EACH ROW {when} {action}")
