"""All tables, as the first nine revisions left them."""
# ruff: noqa: S608  # the statements are made of nothing but the names below

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

revision = "0009"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")

_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _index_of_some(name: str, columns: list[str], which: str) -> Index:
    return Index(name, *columns, sqlite_where=text(which), postgresql_where=text(which))


Table(
    "batch_items",
    _metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("batch_id", String(16), nullable=False),
    Column("job_id", String(16), nullable=False),
    Column("partition_key", String(400), nullable=False),
    Column("waits", Boolean, nullable=False),
    UniqueConstraint("batch_id", "job_id"),
    _index_of_some("ix_batch_items_waits", ["id"], "waits"),
)
Table(
    "batches",
    _metadata,
    Column("id", String(16), primary_key=True),
    Column("what", Text, nullable=False),
    Column("started_by", String(64), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("cancelled_at", DateTime),
    Column("estimate", BigInteger, nullable=False),
)
Table(
    "breakers",
    _metadata,
    Column("name", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("opened_at", DateTime),
    Column("retry_at", DateTime),
    Column("reason", Text),
    Column("updated_at", DateTime, nullable=False),
    Column("failing_since", DateTime),
)
Table(
    "claims",
    _metadata,
    Column("name", String(1200), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("expires_at", DateTime, nullable=False),
    Index(None, "owner"),
)
for _unit in ("hour", "day"):
    Table(
        f"{_unit}s",
        _metadata,
        Column(_unit, DateTime, primary_key=True),
        Column("measure", String(16), primary_key=True),
        Column("name", String(255), primary_key=True),
        Column("count", BigInteger, nullable=False),
        Column("amount", BigInteger, nullable=False),
        Column("seconds", Float, nullable=False),
    )
Table(
    "job_counts",
    _metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("month", String(7), nullable=False),
    Column("status", String(16), nullable=False),
    Column("theme", String(64), nullable=False),
    Column("jobs", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("retries", BigInteger, nullable=False),
)
Table(
    "jobs",
    _metadata,
    Column("id", String(16), primary_key=True),
    Column("sku", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("theme", String(64), nullable=False),
    Column("partition_key", String(400), nullable=False),
    Column("status", String(16), nullable=False),
    Column("source", String(16), nullable=False),
    Column("image_url", Text),
    Column("taken_at", DateTime),
    Column("created_at", DateTime, nullable=False),
    Column("updated_at", DateTime, nullable=False),
    Column("queued_at", DateTime),
    Column("started_at", DateTime),
    Column("completed_at", DateTime),
    Column("failed_at", DateTime),
    Column("original_key", String(1024)),
    Column("mask_key", String(1024)),
    Column("background_key", String(1024)),
    Column("composite_key", String(1024)),
    Column("shopify_product_id", String(128)),
    Column("shopify_media_id", String(128)),
    Column("segmentation_cost", BigInteger, nullable=False),
    Column("background_cost", BigInteger, nullable=False),
    Column("error_code", String(32)),
    Column("error_message", Text),
    Column("error_details", JSON),
    Column("retry_count", Integer, nullable=False),
    Column("retry_at", DateTime),
    Column("dispatch_id", String(32)),
    Column("dispatched_at", DateTime),
    Column("run_id", String(64)),
    Column("variant", Integer, nullable=False, server_default="1"),
    Column("quality", JSON),
    Column("review", String(12)),
    Column("review_reasons", JSON),
    Column("review_digest", String(64)),
    Column("review_note", Text),
    Column("reviewed_by", String(64)),
    Column("reviewed_at", DateTime),
    Column("waits_for", String(64)),
    Column("blames", String(64)),
    Column("batch_id", String(16)),
    UniqueConstraint("sku", "sha256", "theme"),
    Index(None, "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    Index(None, "theme", "created_at", "id"),
    Index(None, "theme", "status", "created_at", "id"),
    Index(None, "dispatch_id"),
    _index_of_some("ix_jobs_completed_at", ["completed_at"], "completed_at IS NOT NULL"),
    _index_of_some("ix_jobs_failed_at", ["failed_at"], "failed_at IS NOT NULL"),
    _index_of_some("ix_jobs_retry_at", ["retry_at"], "retry_at IS NOT NULL"),
    _index_of_some("ix_jobs_review", ["review", "updated_at"], "review IS NOT NULL"),
)
Table(
    "media",
    _metadata,
    Column("filename", String(255), primary_key=True),
    Column("job_id", String(16), nullable=False),
    Column("media_id", String(128), nullable=False),
    Column("product_id", String(128)),
    Column("created_at", DateTime, nullable=False),
    Column("attached_at", DateTime),
    Column("replaces_media_id", String(128)),
    Column("detached_at", DateTime),
    Column("restored_at", DateTime),
    Index(None, "job_id"),
)
Table(
    "products",
    _metadata,
    Column("sku", String(255), primary_key=True),
    Column("product_id", String(128), nullable=False),
    Column("handle", String(255)),
    Column("title", Text),
    Column("synced_at", DateTime, nullable=False),
    Column("category_id", String(128)),
    Column("category", Text),
    Column("product_type", Text),
    Index(None, "product_id"),
)
Table(
    "rejections",
    _metadata,
    Column("digest", String(64), primary_key=True),
    Column("source", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("announcement", JSON, nullable=False),
    Column("seen_at", DateTime, nullable=False),
)
Table(
    "spending",
    _metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("purchase_key", String(1200), nullable=False),
    Column("job_id", String(16), nullable=False),
    Column("sku", String(255), nullable=False),
    Column("theme", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("state", String(12), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("reference", Text),
    Column("owner", String(64), nullable=False),
    Column("discarded", Boolean, nullable=False),
    Column("note", Text),
    Column("created_at", DateTime, nullable=False),
    Column("updated_at", DateTime, nullable=False),
    Index(None, "purchase_key"),
    Index(None, "job_id"),
    Index(None, "created_at"),
)
Table(
    "steps",
    _metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("job_id", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("ended_at", DateTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("reused", Boolean, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("provider", String(32)),
    Column("error_code", String(32)),
    Index(None, "job_id"),
    Index(None, "ended_at"),
)
Table(
    "tokens",
    _metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("expires_at", DateTime),
    Column("last_used_at", DateTime),
    Column("revoked_at", DateTime),
    UniqueConstraint("digest"),
)
Table(
    "watermarks",
    _metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", DateTime, nullable=False),
)

_COUNTED = ("status", "theme", "segmentation_cost", "background_cost", "retry_count")
_TRIGGERS = ("job_counts_insert", "job_counts_update", "job_counts_delete")


def upgrade() -> None:
    _metadata.create_all(op.get_bind(), checkfirst=False)
    _count_jobs()


def _count_jobs() -> None:
    """Have triggers of `jobs` keep the counts."""
    postgres = op.get_bind().dialect.name == "postgresql"
    month = "to_char({0}.created_at, 'YYYY-MM')" if postgres else "substr({0}.created_at, 1, 7)"
    insert = (
        "INSERT INTO job_counts (month, status, theme, jobs, cost, retries) "
        f"VALUES ({month}, {{0}}.status, {{0}}.theme, "
    )
    cost = "{0}.segmentation_cost + {0}.background_cost"
    add = f"{insert}1, {cost}, {{0}}.retry_count);".format("NEW")
    take = f"{insert}-1, -({cost}), -{{0}}.retry_count);".format("OLD")
    changed = " OR ".join(f"OLD.{column} <> NEW.{column}" for column in _COUNTED)
    for trigger, event, when, body in zip(
        _TRIGGERS,
        ("INSERT", f"UPDATE OF {', '.join(_COUNTED)}", "DELETE"),
        ("", f"WHEN ({changed})", ""),
        (add, take + add, take),
        strict=True,
    ):
        action = f"BEGIN {body} END"
        if postgres:
            op.execute(
                f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {body} RETURN NULL; END $$"
            )
            action = f"EXECUTE FUNCTION {trigger}()"
        op.execute(f"CREATE TRIGGER {trigger} AFTER {event} ON jobs FOR EACH ROW {when} {action}")


def downgrade() -> None:
    _metadata.drop_all(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        for trigger in _TRIGGERS:
            op.execute(f"DROP FUNCTION {trigger}()")
