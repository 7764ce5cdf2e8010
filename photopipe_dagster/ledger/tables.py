"""The ledger's tables.

Money is stored as whole micro-dollars, so that sums are exact in every database; time as UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

MICRO = Decimal(1_000_000)


class Usd(TypeDecorator[Decimal]):
    """A `Decimal` amount of USD, kept as whole micro-dollars."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """To micro-dollars; refuses what does not fit."""
        if value is None:
            return None
        micro = Decimal(value) * MICRO
        if micro != micro.to_integral_value():
            raise ValueError(f"{value} USD is finer than a millionth of a dollar")
        return int(micro)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """From micro-dollars."""
        return None if value is None else Decimal(value) / MICRO


class Utc(TypeDecorator[datetime]):
    """A timezone-aware moment, kept as UTC in databases that know no time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To naive UTC; refuses a naive moment."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("moments in the ledger are timezone-aware")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_some(name: str, *columns: str, which: str) -> Index:
    """An index of those rows alone that meet a condition."""
    return Index(name, *columns, sqlite_where=text(which), postgresql_where=text(which))


jobs = Table(
    "jobs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("sku", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("theme", String(64), nullable=False),
    Column("partition_key", String(400), nullable=False),
    Column("status", String(16), nullable=False),
    Column("source", String(16), nullable=False),
    Column("image_url", Text),
    Column("taken_at", Utc),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    Column("queued_at", Utc),
    Column("started_at", Utc),
    Column("completed_at", Utc),
    Column("failed_at", Utc),
    Column("original_key", String(1024)),
    Column("mask_key", String(1024)),
    Column("background_key", String(1024)),
    Column("composite_key", String(1024)),
    Column("product_id", String(128)),
    Column("media_id", String(128)),
    Column("segmentation_cost", Usd, nullable=False),
    Column("background_cost", Usd, nullable=False),
    Column("error_code", String(32)),
    Column("error_message", Text),
    Column("error_details", JSON),
    Column("retry_count", Integer, nullable=False),
    Column("retry_at", Utc),
    Column("waits_for", String(64)),
    Column("blames", String(64)),
    Column("dispatch_id", String(32)),
    Column("dispatched_at", Utc),
    Column("run_id", String(64)),
    Column("batch_id", String(16)),
    Column("variant", Integer, nullable=False, server_default="1"),
    Column("theme_revision", Integer),
    Column("quality", JSON),
    Column("review", String(12)),
    Column("review_reasons", JSON),
    Column("review_digest", String(64)),
    Column("review_note", Text),
    Column("reviewed_by", String(64)),
    Column("reviewed_at", Utc),
    Column("cancelled_by", String(64)),
    Column("cancelled_at", Utc),
    UniqueConstraint("sku", "sha256", "theme"),
    Index(None, "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    Index(None, "theme", "created_at", "id"),
    Index(None, "theme", "status", "created_at", "id"),
    Index(None, "dispatch_id"),
    _of_some("ix_jobs_completed_at", "completed_at", which="completed_at IS NOT NULL"),
    _of_some("ix_jobs_failed_at", "failed_at", which="failed_at IS NOT NULL"),
    _of_some("ix_jobs_retry_at", "retry_at", "waits_for", which="retry_at IS NOT NULL"),
    _of_some("ix_jobs_review", "review", "updated_at", which="review IS NOT NULL"),
)

job_counts = Table(
    "job_counts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("month", String(7), nullable=False),
    Column("status", String(16), nullable=False),
    Column("theme", String(64), nullable=False),
    Column("jobs", BigInteger, nullable=False),
    Column("cost", Usd, nullable=False),
    Column("retries", BigInteger, nullable=False),
)
"""What changes of jobs add to, and take from, their counts; written by triggers of `jobs`.

Counted by the month in which jobs came in, as ``2026-11``.
"""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", Integer),
    Column("body", Text),
    Column("created_at", Utc, nullable=False),
    Index(None, "created_at"),
)
"""Requests that are carried out once, with their answers."""

job_events = Table(
    "job_events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job_id", String(16)),
    Column("kind", String(32), nullable=False),
    Column("at", Utc, nullable=False),
    # Rows are taken away, and no number may come twice.
    sqlite_autoincrement=True,
)
"""What became of jobs, and is still to be told; written by triggers of `jobs`."""

event_deliveries = Table(
    "event_deliveries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event_id", BigInteger, nullable=False),
    Column("endpoint", String(12), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("job_id", String(16)),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Utc, nullable=False),
    Column("payload", Text, nullable=False),
    Column("status", Integer),
    Column("says", Text),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    UniqueConstraint("event_id", "endpoint"),
    Index(None, "state", "due_at"),
)
"""Events on their way to endpoints."""

job_arrivals = Table(
    "job_arrivals",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("jobs", BigInteger, nullable=False),
)
"""How often jobs came to a status, ever; written by triggers of `jobs`."""

steps = Table(
    "steps",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job_id", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("ended_at", Utc, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("reused", Boolean, nullable=False),
    Column("cost", Usd, nullable=False),
    Column("provider", String(32)),
    Column("error_code", String(32)),
    Index(None, "job_id"),
    Index(None, "ended_at"),
)
"""What runs did to photos, stage by stage: the timeline of a job, and how long stages take."""

hours, days = (
    Table(
        f"{unit}s",
        metadata,
        Column(unit, Utc, primary_key=True),
        Column("measure", String(16), primary_key=True),
        Column("name", String(255), primary_key=True),
        Column("count", BigInteger, nullable=False),
        Column("amount", Usd, nullable=False),
        Column("seconds", Float, nullable=False),
    )
    for unit in ("hour", "day")
)
"""What happened in UTC hours that are over, added up once, and in days all of whose hours are
there; see `stats.rollups`."""

spending = Table(
    "spending",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("purchase_key", String(1200), nullable=False),
    Column("recipe", String(64)),
    Column("job_id", String(16), nullable=False),
    Column("sku", String(255), nullable=False),
    Column("theme", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("state", String(12), nullable=False),
    Column("amount", Usd, nullable=False),
    Column("reference", Text),
    Column("owner", String(64), nullable=False),
    Column("discarded", Boolean, nullable=False),
    Column("note", Text),
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    Index(None, "purchase_key"),
    Index(None, "recipe"),
    Index(None, "job_id"),
    Index(None, "created_at"),
)

claims = Table(
    "claims",
    metadata,
    Column("name", String(1200), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("expires_at", Utc, nullable=False),
    Index(None, "owner"),
)

products = Table(
    "products",
    metadata,
    Column("sku", String(255), primary_key=True),
    Column("product_id", String(128), nullable=False),
    Column("handle", String(255)),
    Column("title", Text),
    Column("synced_at", Utc, nullable=False),
    Column("category_id", String(128)),
    Column("category", Text),
    Column("product_type", Text),
    Index(None, "product_id"),
)

media = Table(
    "media",
    metadata,
    Column("filename", String(255), primary_key=True),
    Column("job_id", String(16), nullable=False),
    Column("media_id", String(128), nullable=False),
    Column("product_id", String(128)),
    Column("created_at", Utc, nullable=False),
    Column("attached_at", Utc),
    Column("replaces_media_id", String(128)),
    Column("detached_at", Utc),
    Column("restored_at", Utc),
    Index(None, "job_id"),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", Utc, nullable=False),
)

rejections = Table(
    "rejections",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("source", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("announcement", JSON, nullable=False),
    Column("seen_at", Utc, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", String(64), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("last_used_at", Utc),
    Column("revoked_at", Utc),
    UniqueConstraint("digest"),
)
"""Who may use the API. Only digests are kept."""

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("token_id", BigInteger, nullable=False),
    Column("ends_at", Utc, nullable=False),
    Index(None, "ends_at"),
)
"""Browsers that are signed in with a token. Only digests of their cookies are kept."""

breakers = Table(
    "breakers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failing_since", Utc),
    Column("opened_at", Utc),
    Column("retry_at", Utc),
    Column("reason", Text),
    Column("last_success_at", Utc),
    Column("refused", Boolean),
    Column("updated_at", Utc, nullable=False),
)
"""Which services are down, and which have worked lately, as all processes see it."""

batches = Table(
    "batches",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("what", Text, nullable=False),
    Column("started_by", String(64), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("cancelled_at", Utc),
    Column("estimate", Usd, nullable=False),
)
"""Backfills that people asked for."""

batch_items = Table(
    "batch_items",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("batch_id", String(16), nullable=False),
    Column("job_id", String(16), nullable=False),
    Column("partition_key", String(400), nullable=False),
    Column("waits", Boolean, nullable=False),
    UniqueConstraint("batch_id", "job_id"),
    _of_some("ix_batch_items_waits", "id", which="waits"),
)
"""The jobs of backfills; those that wait have not been let go yet."""

decisions = Table(
    "decisions",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job_id", String(16), nullable=False),
    Column("sku", String(255), nullable=False),
    Column("theme", String(64), nullable=False),
    Column("variant", Integer, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("digest", String(64)),
    Column("kind", String(32)),
    Column("reasons", JSON, nullable=False),
    Column("quality", JSON),
    Column("made", JSON),
    Column("held_at", Utc),
    Column("outcome", String(20)),
    Column("note", Text),
    Column("decided_by", String(64)),
    Column("decided_at", Utc),
    Index(None, "job_id"),
    Index(None, "decided_at"),
)
"""Pictures that a person looked at, as they were then, and what the person said; the row of one
that still waits has no outcome."""

calibrations = Table(
    "calibrations",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("content", JSON, nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("made_at", Utc, nullable=False),
)
"""Limits that a shop has set from its own decisions; the last row counts."""

scenes = Table(
    "scenes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("content_type", String(32), nullable=False),
    Column("view", JSON, nullable=False),
    Column("confidence", JSON, nullable=False),
    Column("provider", String(32), nullable=False),
    Column("model", String(128)),
    Column("prompt", Text),
    Column("cost", Usd, nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("decided_by", String(64)),
    Column("decided_at", Utc),
    UniqueConstraint("name", "revision"),
)
"""Pictures that whole collections stand in, one row a revision; only its state ever changes."""

product_sizes = Table(
    "product_sizes",
    metadata,
    Column("sku", String(255), primary_key=True),
    Column("height_cm", Float),
    Column("size_class", String(2)),
    Column("source", String(16), nullable=False),
    Column("updated_at", Utc, nullable=False),
)
"""How large products are in life, as the shop says."""

cutout_repairs = Table(
    "cutout_repairs",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("sku", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("before", String(64), nullable=False),
    Column("after", String(64), nullable=False),
    Column("operations", JSON, nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("made_at", Utc, nullable=False),
    Column("undone_by", String(64)),
    Column("undone_at", Utc),
    Index(None, "sku", "sha256"),
)
"""Cut-outs that a person has repaired: digests of both, and what was done."""

themes = Table(
    "themes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("content", JSON, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("made_at", Utc, nullable=False),
    UniqueConstraint("name", "revision"),
)
"""The themes that the shop has made: one row a revision, which never changes; the last counts."""

shop_skus = Table(
    "shop_skus",
    metadata,
    Column("sku", String(255), primary_key=True),
    Column("barcode", String(255)),
    Column("title", Text),
    Index(None, "barcode"),
)
"""The SKUs that the shop listed last, for names of files; which product one is says `products`."""

source_files = Table(
    "source_files",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("ref", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", String(128), nullable=False),
    Column("state", String(12), nullable=False),
    Column("reason", Text),
    Column("theme", String(64)),
    Column("sku", String(255)),
    Column("job_id", String(16)),
    Column("seen_at", Utc, nullable=False),
    Column("settled_at", Utc),
    Column("settled_by", String(64)),
    Index(None, "state", "seen_at"),
)
"""Files of sources whose names say which product they show, and what became of each."""

route_hops = Table(
    "route_hops",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("place", String(1200), nullable=False),
    Column("job_id", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("next", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Index(None, "place"),
)
"""Steps of pictures from one provider of a route to the next; see `ledger.routes`."""
