"""Backfills that people ask for: which photos, in which theme, and what it would cost.

A selection names photos that the ledger knows, whether or not Dagster still has partitions for
them. Starting one makes a batch: see `ledger.batches`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from photopipe_dagster.core.errors import ErrorCode, PhotopipeError
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS, PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.estimate import (
    USUAL_SIZE,
    Candidate,
    Estimator,
    PhotoEstimate,
    estimating,
)
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import DECIDED, JobStatus
from photopipe_dagster.pipeline.stages.composite import composed_alike
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import PictureFacts, find_picture
from photopipe_dagster.themes.model import Theme

_AT_ONCE: Final = 8
"""Photos that are estimated at once: each waits for the ledger and the object store."""


@dataclass(frozen=True, slots=True)
class InTheme:
    """Ask for every known photo of these products in a theme; ``None``: of all products.

    What is DONE in that theme already is left out, and what a person stopped or rejected.
    """

    theme: str
    skus: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """Ask for what is DONE and would look another way by today's settings and themes: on another
    background, or composed by another revision of its theme.

    Args:
        theme: Only in this theme; ``None``: in any.
        draft: That theme as nobody has saved it yet: what would change if it were.
    """

    theme: str | None = None
    draft: Theme | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Ask for what failed for good. What a person stopped or rejected is left out.

    Args:
        codes: Only with one of these codes; empty: with any.
        since: Only since then.
        theme: Only in this theme.
        text: Only where the SKU, or the product's title or handle, contains this, in any case.
    """

    codes: Collection[ErrorCode] = ()
    since: datetime | None = None
    theme: str | None = None
    text: str | None = None


BatchRequest = InTheme | Changed | Failed
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


def price(
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    selection: Selection,
    *,
    draft: Theme | None = None,
) -> Decimal:
    """What a selection would cost at most, USD.

    Args:
        draft: A theme that is priced as if it were saved.

    Raises:
        ConfigurationError: A provider cannot work with these settings.
    """
    with estimating(settings, ledger, store, draft=draft) as estimator:
        estimates = _estimate(estimator, store, selection.keys)
    return sum((each.total for each in estimates), Decimal(0))


def select_photos(
    settings: Settings, ledger: Ledger, store: ObjectStore, wanted: BatchRequest
) -> Selection:
    """Which photos that is. Nothing is begun.

    Raises:
        PhotopipeError: There is no such theme.
        ConfigurationError: A provider cannot work with these settings.
    """
    if isinstance(wanted, Failed):
        return _failed(ledger, wanted)
    supported = ledger.themes.registry(settings).offered
    if wanted.theme is not None and wanted.theme not in supported:
        raise PhotopipeError(
            f"There is no theme {wanted.theme!r}; choose one of {', '.join(supported)}."
        )
    if isinstance(wanted, InTheme):
        return _in_theme(ledger, wanted)
    themes = supported if wanted.theme is None else [wanted.theme]
    with estimating(settings, ledger, store, draft=wanted.draft) as estimator:
        keys = _changed(ledger, estimator, store, themes)
    where = "any theme" if wanted.theme is None else f"theme {wanted.theme}"
    return Selection(f"{where}, where the picture is made by another recipe now", keys)


def _in_theme(ledger: Ledger, wanted: InTheme) -> Selection:
    unknown: tuple[str, ...] = ()
    if wanted.skus is None:
        photos, products = ledger.jobs.photos(), "all products"
    else:
        skus = list(dict.fromkeys(wanted.skus))
        # No photo has them, and a database may refuse to look for them.
        possible = [sku for sku in skus if len(sku) <= MAX_SKU_CHARACTERS and "\0" not in sku]
        photos = ledger.jobs.photos(possible)
        known = {sku for sku, _ in photos}
        unknown = tuple(sku for sku in skus if sku not in known)
        products = f"{len(known)} {'product' if len(known) == 1 else 'products'}"
    keys = {key.job_id: key for key in (PhotoKey(*photo, wanted.theme) for photo in photos)}
    statuses = ledger.jobs.statuses(keys)
    done = sum(status is JobStatus.DONE for status in statuses.values())
    stopped = sum(status in DECIDED for status in statuses.values())
    left_out = (JobStatus.DONE, *DECIDED)
    return Selection(
        f"theme {wanted.theme} for {products}",
        tuple(key for job_id, key in keys.items() if statuses.get(job_id) not in left_out),
        unknown,
        done,
        stopped,
    )


def _failed(ledger: Ledger, wanted: Failed) -> Selection:
    which = ", ".join(sorted(wanted.codes)) or "any code"
    when = f" since {wanted.since:%Y-%m-%d %H:%M} UTC" if wanted.since is not None else ""
    where = f" in theme {wanted.theme}" if wanted.theme is not None else ""
    skus = f", product with {wanted.text!r}" if wanted.text is not None else ""
    some = JobQuery(theme=wanted.theme, text=wanted.text)
    # Only a failure has a code; and of a theme or a SKU, what was stopped is not counted.
    failures_alone = wanted.codes or where or skus
    return Selection(
        f"failed with {which}{where}{skus}{when}",
        tuple(ledger.jobs.failed_for_good(wanted.codes, wanted.since, some)),
        stopped=0 if failures_alone else ledger.jobs.count_decided(wanted.since),
    )


def _changed(
    ledger: Ledger, estimator: Estimator, store: ObjectStore, themes: Collection[str]
) -> tuple[PhotoKey, ...]:
    # The ledger alone cannot tell: a recipe has its photo's own seed and size in it, so that there
    # is no one recipe to compare all photos with.
    keys: list[PhotoKey] = []
    earlier = {name: _composed_otherwise(ledger, estimator.themes.get(name)) for name in themes}
    for page in ledger.jobs.done_in(themes):
        same = [key for key, revision in page if revision not in earlier[key.theme]]
        keys += [key for key, revision in page if revision in earlier[key.theme]]
        keys += [
            each.key
            for each in _estimate(estimator, store, same)
            if Stage.BACKGROUND not in each.reused
        ]
    return tuple(sorted(keys))


def _composed_otherwise(ledger: Ledger, theme: Theme) -> frozenset[int | None]:
    """The revisions of a theme by which products were set into their backgrounds in another way."""
    return frozenset(
        each.revision
        for each in ledger.themes.history(theme.name)
        if not composed_alike(each.theme, theme)
    )


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
        size = USUAL_SIZE if stored is None else stored.facts.size
        return estimator.estimate((Candidate(key, key.sha256, size) for key in same), again=True)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [each for found in pool.map(photo, themes.values()) for each in found]
