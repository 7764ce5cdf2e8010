"""Fills a ledger with the jobs of years within seconds, as runs would have left them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, text

from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.ledger import Ledger

THEMES = ("default", "kitchen", "outdoors", "minimal", "luxury")
PHOTOS_PER_RUN = 50
CUTOUT_MICROUSD, BACKGROUND_MICROUSD = 20_000, 50_000

_PAGE = 20_000
_FAILED_ONE_IN = 50
_STARTED = timedelta(seconds=30)
_ENDED = timedelta(seconds=90)

_JOBS = (
    "id",
    "sku",
    "sha256",
    "theme",
    "partition_key",
    "status",
    "source",
    "created_at",
    "updated_at",
    "queued_at",
    "started_at",
    "completed_at",
    "failed_at",
    "original_key",
    "mask_key",
    "background_key",
    "composite_key",
    "product_id",
    "media_id",
    "segmentation_cost",
    "background_cost",
    "error_code",
    "error_message",
    "retry_count",
    "run_id",
    "dispatch_id",
    "dispatched_at",
    "variant",
)
_SPENDING = (
    "purchase_key",
    "job_id",
    "sku",
    "theme",
    "stage",
    "provider",
    "state",
    "amount",
    "owner",
    "discarded",
    "created_at",
    "updated_at",
)
_STEPS = (
    "job_id",
    "stage",
    "run_id",
    "ended_at",
    "seconds",
    "reused",
    "cost",
)


def photo(number: int) -> PhotoKey:
    """The photo of a number: two hundred thousand products, all themes."""
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return PhotoKey(f"SHOP-{number % 200_000}", digest, THEMES[number % len(THEMES)])


def run_of(number: int) -> str:
    """The Dagster run that worked on the photo of a number."""
    digest = hashlib.md5(b"run %d" % (number // PHOTOS_PER_RUN), usedforsecurity=False)
    named = digest.hexdigest()
    return f"{named[:8]}-{named[8:12]}-{named[12:16]}-{named[16:20]}-{named[20:]}"


def fill(ledger: Ledger, count: int, *, days: int, until: datetime) -> None:
    """Jobs at rest, evenly over days, oldest first: one in fifty FAILED, the others DONE.

    Each has a paid cut-out, a paid background and a step; what failed did so at its background.

    Args:
        until: When the youngest was announced.
    """
    postgres = ledger.database.engine.dialect.name == "postgresql"
    insert = _copy if postgres else _insert
    numbers = iter(range(count))
    gap = timedelta(days=days) / count
    while page := list(islice(numbers, _PAGE)):
        jobs, spending, steps = [], [], []
        for number in page:
            rows = _rows(number, until - gap * (count - 1 - number))
            jobs.append(rows[0])
            spending += rows[1]
            steps.append(rows[2])
        with ledger.database.write() as connection:
            insert(connection, "jobs", _JOBS, jobs)
            insert(connection, "spending", _SPENDING, spending)
            insert(connection, "steps", _STEPS, steps)
        ledger.counts.compact()
    if postgres:  # as autovacuum does by itself; nothing does on SQLite
        with ledger.database.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("VACUUM ANALYZE"))


def _rows(number: int, created: datetime) -> tuple[tuple[Any, ...], list[Any], tuple[Any, ...]]:
    key = photo(number)
    failed = number % _FAILED_ONE_IN == 0
    at, began, ended = (_written(created + since) for since in (timedelta(), _STARTED, _ENDED))
    stages = STAGES[:2] if failed else STAGES[:4]
    keys = [key.object_key(stage) for stage in stages] + [None] * (4 - len(stages))
    job_id = key.job_id
    job = (
        *(job_id, key.sku, key.sha256, key.theme, key.partition_key),
        *("FAILED" if failed else "DONE", "webhook", at, ended, at, began),
        *(None if failed else ended, ended if failed else None, *keys),
        *(None if failed else f"gid://shopify/Product/{number}",),
        *(None if failed else f"gid://shopify/MediaImage/{number}",),
        *(CUTOUT_MICROUSD, BACKGROUND_MICROUSD),
        *("BACKGROUND_ERROR" if failed else None, "It refused." if failed else None),
        *(0, run_of(number), None if failed else run_of(number)[:16], began, 1),
    )
    spending = [
        (
            *(f"{key.object_key(stage)}#{number}", job_id, key.sku, key.theme, stage.value),
            *("freepik", "unknown" if failed and stage is Stage.BACKGROUND else "charged"),
            *(amount, "benchmark", 0, began, ended),
        )
        for stage, amount in (
            (Stage.MASK, CUTOUT_MICROUSD),
            (Stage.BACKGROUND, BACKGROUND_MICROUSD),
        )
    ]
    step = (job_id, Stage.MASK.value, run_of(number), ended, 2.5, 0, CUTOUT_MICROUSD)
    return job, spending, step


def _insert(
    connection: Connection, table: str, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    values = ", ".join("?" * len(columns))
    names = ", ".join(columns)
    connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({values})", rows)  # noqa: S608


def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    lines = "".join("\t".join(_cells(row)) + "\n" for row in rows)
    cursor: Any = connection.connection.cursor()
    cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", io.StringIO(lines))


def _cells(row: tuple[Any, ...]) -> Iterator[str]:
    return (r"\N" if value is None else str(value) for value in row)


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
