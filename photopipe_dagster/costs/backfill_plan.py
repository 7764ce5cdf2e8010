"""Backfills that people ask for: which photos, in which theme, and what it would cost.

A selection names photos that the ledger knows, whether or not Dagster still has partitions for
them. Starting one makes a batch: see `ledger.batches`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Row, select

from photopipe_dagster.core.errors import ErrorCode, PhotopipeError
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS, PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.estimate import Candidate, Estimator, PhotoEstimate, estimating
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import CANCELLED
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.ledger.tables import jobs
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import PictureFacts, find_picture
from photopipe_dagster.themes.registry import ThemeRegistry

_PAGE: Final = 500

_AT_ONCE: Final = 8
"""Photos that are estimated at once: each waits for the ledger and the object store."""

_USUAL_SIZE: Final = (2048, 2048)
"""Pixels of a photo whose size nobody wrote down."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class InTheme:
    """Ask for every known photo of these products in a theme; ``None``: of all products.

    What is DONE in that theme already is left out, and what a person stopped or rejected.
    """

    theme: str
    skus: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """Ask for what is DONE and would get another background by today's settings.

    Args:
        theme: Only in this theme; ``None``: in any.
    """

    theme: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Ask for what failed for good. What a person stopped or rejected is left out.

    Args:
        codes: Only with one of these codes; empty: with any.
        since: Only since then.
    """

    codes: Collection[ErrorCode] = ()
    since: datetime | None = None


Wanted = InTheme | Changed | Failed
"""What a person asks for."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Photos that a backfill is about.

    Args:
        what: What was asked for, in words.
        keys: The photos, in the theme that they are to have.
        unknown: SKUs that were asked for and that no photo has.
        done: Photos that are left out because they are DONE already.
        stopped: Photos that are left out because a person stopped or rejected them.
    """

    what: str
    keys: tuple[PhotoKey, ...]
    unknown: tuple[str, ...] = ()
    done: int = 0
    stopped: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A selection, and what it costs at most, in USD."""

    selection: Selection
    cost: Decimal


def plan(settings: Settings, ledger: Ledger, store: ObjectStore, wanted: Wanted) -> Plan:
    """What would be made, and what it would cost. Nothing is begun.

    Raises:
        PhotopipeError: There is no such theme.
        ConfigurationError: A provider cannot work with these settings.
    """
    return price(settings, ledger, store, select_photos(settings, ledger, store, wanted))


def price(settings: Settings, ledger: Ledger, store: ObjectStore, selection: Selection) -> Plan:
    """What a selection would cost.

    Raises:
        ConfigurationError: A provider cannot work with these settings.
    """
    with estimating(settings, ledger, store) as estimator:
        estimates = _estimate(estimator, store, selection.keys)
    return Plan(selection, sum((each.total for each in estimates), Decimal(0)))


def select_photos(
    settings: Settings, ledger: Ledger, store: ObjectStore, wanted: Wanted
) -> Selection:
    """Which photos that is; raises as `plan` does."""
    if isinstance(wanted, Failed):
        return _failed(ledger, wanted)
    supported = ThemeRegistry.from_settings(settings).offered
    if wanted.theme is not None and wanted.theme not in supported:
        raise PhotopipeError(
            f"There is no theme {wanted.theme!r}; choose one of {', '.join(supported)}."
        )
    if isinstance(wanted, InTheme):
        return _in_theme(ledger, wanted)
    themes = supported if wanted.theme is None else [wanted.theme]
    with estimating(settings, ledger, store) as estimator:
        keys = _changed(ledger, estimator, store, themes)
    where = "any theme" if wanted.theme is None else f"theme {wanted.theme}"
    return Selection(f"{where}, where the background is made by another recipe now", keys)


def _in_theme(ledger: Ledger, wanted: InTheme) -> Selection:
    photos = select(jobs.c.sku, jobs.c.sha256).distinct().order_by(jobs.c.sku, jobs.c.sha256)
    unknown: tuple[str, ...] = ()
    if wanted.skus is None:
        rows, products = ledger.database.all(photos), "all products"
    else:
        skus = list(dict.fromkeys(wanted.skus))
        # No photo has them, and a database may refuse to look for them.
        possible = [sku for sku in skus if len(sku) <= MAX_SKU_CHARACTERS and "\0" not in sku]
        rows = [
            row
            for page in _pages(possible)
            for row in ledger.database.all(photos.where(jobs.c.sku.in_(page)))
        ]
        known = {row.sku for row in rows}
        unknown = tuple(sku for sku in skus if sku not in known)
        products = f"{len(known)} {'product' if len(known) == 1 else 'products'}"
    keys = [PhotoKey(row.sku, row.sha256, wanted.theme) for row in rows]
    done, stopped = _left_out(ledger, keys)
    return Selection(
        f"theme {wanted.theme} for {products}",
        tuple(key for key in keys if key.job_id not in done | stopped),
        unknown,
        len(done),
        len(stopped),
    )


def _failed(ledger: Ledger, wanted: Failed) -> Selection:
    query = select(
        jobs.c.sku,
        jobs.c.sha256,
        jobs.c.theme,
        jobs.c.review,
        jobs.c.retry_at,
        jobs.c.error_details,
    ).where(jobs.c.status == JobStatus.FAILED, jobs.c.retry_at.is_(None))
    if wanted.codes:
        query = query.where(jobs.c.error_code.in_([str(code) for code in wanted.codes]))
    if wanted.since is not None:
        query = query.where(jobs.c.failed_at >= wanted.since)
    rows = ledger.database.all(query.order_by(jobs.c.failed_at, jobs.c.id))
    wanted_again = [row for row in rows if not _stopped(row)]
    which = ", ".join(sorted(wanted.codes)) or "any code"
    when = f" since {wanted.since:%Y-%m-%d %H:%M} UTC" if wanted.since is not None else ""
    return Selection(
        f"failed with {which}{when}",
        tuple(PhotoKey(row.sku, row.sha256, row.theme) for row in wanted_again),
        stopped=len(rows) - len(wanted_again),
    )


def _stopped(row: Row[Any]) -> bool:
    """Whether a person stopped or rejected a FAILED job, and nobody has retried it since."""
    cancelled = (row.error_details or {}).get("kind") == CANCELLED
    return row.retry_at is None and (cancelled or row.review == Review.REJECTED)


def _changed(
    ledger: Ledger, estimator: Estimator, store: ObjectStore, themes: Collection[str]
) -> tuple[PhotoKey, ...]:
    query = select(jobs.c.sku, jobs.c.sha256, jobs.c.theme).where(
        jobs.c.status == JobStatus.DONE, jobs.c.theme.in_(themes)
    )
    rows = ledger.database.all(query.order_by(jobs.c.sku, jobs.c.sha256, jobs.c.theme))
    keys = [PhotoKey(row.sku, row.sha256, row.theme) for row in rows]
    estimates = _estimate(estimator, store, keys)
    return tuple(each.key for each in estimates if Stage.BACKGROUND not in each.reused)


def _estimate(
    estimator: Estimator, store: ObjectStore, keys: Iterable[PhotoKey]
) -> list[PhotoEstimate]:
    """What photos would cost, in any order, as if those that are DONE were made again."""
    themes: dict[tuple[str, str], list[PhotoKey]] = {}
    for key in keys:
        themes.setdefault((key.sku, key.sha256), []).append(key)

    # One photo's themes share what is bought, so they go one after another; no other photo does.
    def photo(same: list[PhotoKey]) -> list[PhotoEstimate]:
        stored = find_picture(store, same[0].object_key(Stage.ORIGINAL), PictureFacts)
        size = _USUAL_SIZE if stored is None else stored.facts.size
        return estimator.estimate((Candidate(key, key.sha256, size) for key in same), again=True)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [each for found in pool.map(photo, themes.values()) for each in found]


def _left_out(ledger: Ledger, keys: Iterable[PhotoKey]) -> tuple[set[str], set[str]]:
    """Ids of jobs that are DONE, and of those that a person stopped or rejected."""
    done: set[str] = set()
    stopped: set[str] = set()
    columns = jobs.c.id, jobs.c.status, jobs.c.review, jobs.c.retry_at, jobs.c.error_details
    at_rest = jobs.c.status.in_((JobStatus.DONE, JobStatus.FAILED))
    for page in _pages([key.job_id for key in keys]):
        for row in ledger.database.all(select(*columns).where(jobs.c.id.in_(page), at_rest)):
            if row.status == JobStatus.DONE:
                done.add(row.id)
            elif _stopped(row):
                stopped.add(row.id)
    return done, stopped


def _pages(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while page := list(islice(rest, _PAGE)):
        yield page
