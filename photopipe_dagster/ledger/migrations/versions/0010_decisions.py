"""Jobs that a person stopped, or whose picture a person rejected, are no failures any more.

They were FAILED, with an error code and a kind in the error's details. One of them that a person
has retried since, and that has not gone out yet, stays FAILED: it is tried again.
"""
# ruff: noqa: S608  # the statements are made of nothing but the names below

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_CANCELLED_BY = "substr(error_message, 14, length(error_message) - 14)"
"""Of the message "Cancelled by NAME."."""

_NO_ERROR = (
    "error_code = NULL, error_message = NULL, error_details = NULL, failed_at = NULL, "
    "waits_for = NULL, blames = NULL"
)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("cancelled_by", sa.String(length=64), nullable=True))
    op.add_column("jobs", sa.Column("cancelled_at", sa.DateTime(), nullable=True))
    stopped = f"status = 'FAILED' AND retry_at IS NULL AND {_kind()} ="
    # The code too: an outside orchestrator may write any details of its own.
    op.execute(
        f"UPDATE jobs SET status = 'CANCELLED', cancelled_by = substr({_CANCELLED_BY}, 1, 64), "
        f"cancelled_at = failed_at, {_NO_ERROR} WHERE {stopped} 'cancelled' "
        "AND error_code = 'VALIDATION_ERROR' AND error_message LIKE 'Cancelled by _%.'"
    )
    op.execute(
        f"UPDATE jobs SET status = 'REJECTED', {_NO_ERROR} WHERE {stopped} 'rejected' "
        "AND error_code = 'COMPOSITE_ERROR' AND review = 'rejected'"
    )
    _count_rejected("-")


def downgrade() -> None:
    _count_rejected("+")
    op.execute(
        "UPDATE jobs SET status = 'FAILED', error_code = 'VALIDATION_ERROR', "
        "error_message = 'Cancelled by ' || cancelled_by || '.', "
        """error_details = '{"kind": "cancelled"}', failed_at = cancelled_at """
        "WHERE status = 'CANCELLED'"
    )
    op.execute(
        "UPDATE jobs SET status = 'FAILED', error_code = 'COMPOSITE_ERROR', "
        "error_message = 'Rejected by ' || reviewed_by || coalesce(': ' || review_note, '.'), "
        """error_details = '{"kind": "rejected"}', failed_at = reviewed_at """
        "WHERE status = 'REJECTED'"
    )
    op.drop_column("jobs", "cancelled_at")
    op.drop_column("jobs", "cancelled_by")


def _kind() -> str:
    if op.get_bind().dialect.name == "postgresql":
        return "error_details ->> 'kind'"
    return "json_extract(error_details, '$.kind')"


def _count_rejected(sign: str) -> None:
    """Take the rejected out of the failed of hours and days that are kept, or count them there."""
    for table, begins, digits in (("hours", "hour", 13), ("days", "day", 10)):
        op.execute(
            f"UPDATE {table} SET count = {table}.count {sign} rejected.jobs FROM ("
            f"SELECT theme, substr(CAST(reviewed_at AS VARCHAR), 1, {digits}) AS at, "
            "count(*) AS jobs FROM jobs WHERE status = 'REJECTED' GROUP BY 1, 2) AS rejected "
            f"WHERE {table}.measure = 'failed' AND {table}.name = rejected.theme "
            f"AND substr(CAST({table}.{begins} AS VARCHAR), 1, {digits}) = rejected.at"
        )
