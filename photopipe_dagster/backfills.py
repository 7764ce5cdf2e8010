"""Backfills that people ask for: which photos, in which theme, and what it would cost.

A selection names photos that the ledger knows, whether or not Dagster still has partitions for
them. Starting one makes a batch: see `ledger.batches`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import select

from photopipe_dagster.errors import ErrorCode
from photopipe_dagster.estimate import Candidate, Estimator, PhotoEstimate
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.statuses import JobStatus
from photopipe_dagster.ledger.tables import jobs
from photopipe_dagster.photo import PhotoKey, Stage
from photopipe_dagster.storage.base import ObjectStore

_PAGE: Final = 500

_AT_ONCE: Final = 16
"""Questions to the object store at once."""

_USUAL_SIZE: Final = (2048, 2048)
"""Pixels of a photo whose size nobody wrote down."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Selection:
    """Photos that a backfill is about.

    Args:
        what: What was asked for, in words.
        keys: The photos, in the theme that they are to have.
    """

    what: str
    keys: tuple[PhotoKey, ...]


def in_theme(ledger: Ledger, theme: str, skus: Collection[str] | None) -> Selection:
    """Every known photo of these products in a theme; ``None``: of all products.

    What is DONE in that theme already is left out.
    """
    keys = []
    for page in _pages(skus) if skus is not None else [None]:
        query = select(jobs.c.sku, jobs.c.sha256).distinct().order_by(jobs.c.sku, jobs.c.sha256)
        if page is not None:
            query = query.where(jobs.c.sku.in_(page))
        keys += [PhotoKey(row.sku, row.sha256, theme) for row in ledger.database.all(query)]
    done = _done(ledger, keys)
    products = "all products" if skus is None else f"{len(set(skus))} products"
    return Selection(
        f"theme {theme} for {products}", tuple(key for key in keys if key.job_id not in done)
    )


def failed(ledger: Ledger, codes: Collection[ErrorCode], since: datetime | None) -> Selection:
    """Photos that failed for good, with one of these codes (none: any), since a moment."""
    query = select(jobs.c.sku, jobs.c.sha256, jobs.c.theme).where(
        jobs.c.status == JobStatus.FAILED, jobs.c.retry_at.is_(None)
    )
    if codes:
        query = query.where(jobs.c.error_code.in_([str(code) for code in codes]))
    if since is not None:
        query = query.where(jobs.c.failed_at >= since)
    rows = ledger.database.all(query.order_by(jobs.c.failed_at, jobs.c.id))
    which = ", ".join(sorted(codes)) or "any code"
    when = f" since {since:%Y-%m-%d %H:%M} UTC" if since is not None else ""
    return Selection(
        f"failed with {which}{when}",
        tuple(PhotoKey(row.sku, row.sha256, row.theme) for row in rows),
    )


def changed(ledger: Ledger, estimator: Estimator, store: ObjectStore, theme: str) -> Selection:
    """Photos that are DONE in a theme and would get another background by today's settings."""
    query = select(jobs.c.sku, jobs.c.sha256).where(
        jobs.c.status == JobStatus.DONE, jobs.c.theme == theme
    )
    rows = ledger.database.all(query.order_by(jobs.c.sku, jobs.c.sha256))
    keys = [PhotoKey(row.sku, row.sha256, theme) for row in rows]
    estimates = estimate(estimator, store, keys, again=True)
    return Selection(
        f"theme {theme}, whose background is made by another recipe now",
        tuple(each.key for each in estimates if Stage.BACKGROUND not in each.reused),
    )


def estimate(
    estimator: Estimator, store: ObjectStore, keys: Iterable[PhotoKey], *, again: bool = False
) -> list[PhotoEstimate]:
    """What photos would cost, in order.

    Args:
        again: Photos that are DONE are estimated as if they were made again.
    """

    def candidate(key: PhotoKey) -> Candidate:
        info = store.head(key.object_key(Stage.ORIGINAL))
        facts = {} if info is None else info.metadata
        try:
            size = int(facts["width"]), int(facts["height"])
        except (KeyError, ValueError):
            size = _USUAL_SIZE
        return Candidate(key, key.sha256, size)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return estimator.estimate(pool.map(candidate, keys), again=again)


def _done(ledger: Ledger, keys: Iterable[PhotoKey]) -> set[str]:
    done: set[str] = set()
    for page in _pages([key.job_id for key in keys]):
        query = select(jobs.c.id).where(jobs.c.id.in_(page), jobs.c.status == JobStatus.DONE)
        done |= {row.id for row in ledger.database.all(query)}
    return done


def _pages(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while page := list(islice(rest, _PAGE)):
        yield page
