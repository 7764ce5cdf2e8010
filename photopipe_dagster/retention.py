"""Retention: what is finished leaves Dagster, and old intermediates may leave the store.

The ledger keeps every job and every cent; reports do not change. A photo whose partition has left
comes back as a new partition as soon as something is to be done with it.

Everything here may be interrupted at any moment and started again: what is gone is gone, and what
is left is found anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, TypeVar
from urllib.parse import unquote

import dagster as dg
from sqlalchemy import or_, select

from photopipe_dagster.errors import PhotoRejected
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.statuses import JobStatus
from photopipe_dagster.ledger.tables import jobs
from photopipe_dagster.photo import PhotoKey, Stage
from photopipe_dagster.storage.base import ObjectStore

PARTITIONS: Final = "photos"
"""Name of the set of dynamic partitions."""

INTERMEDIATES: Final = {Stage.MASK: "masks/", Stage.BACKGROUND: "backgrounds/"}
"""What can be made again, or is not looked at any more once a photo is published."""

_PAGE: Final = 500

Item = TypeVar("Item")

_FINISHED_RUNS: Final = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What left, or would leave.

    Args:
        partitions: Partitions of finished photos.
        runs: Dagster's runs with their events.
        objects: Intermediates in the store.
        bytes: What the intermediates took.
    """

    partitions: int = 0
    runs: int = 0
    objects: int = 0
    bytes: int = 0


class Retention:
    """Prunes one installation.

    Args:
        instance: Dagster's, with its partitions, runs and events.
        days: Days after which a finished photo leaves Dagster.
        intermediates_days: Days after which cut-outs and backgrounds leave the store; ``None``:
            never. A photo set in another theme later needs, and pays, a new cut-out then.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        ledger: Ledger,
        store: ObjectStore,
        *,
        days: int,
        intermediates_days: int | None = None,
    ) -> None:
        self._instance = instance
        self._ledger = ledger
        self._store = store
        self._before = ledger.database.now() - timedelta(days=days)
        self._objects_before = (
            None
            if intermediates_days is None
            else ledger.database.now() - timedelta(days=intermediates_days)
        )

    def prune(self, *, dry_run: bool, say: Callable[[str], None] = lambda _: None) -> Pruned:
        """Prune, or say what would be.

        Args:
            say: Told of progress.
        """
        partitions = runs = objects = size = 0
        for key in self._old_partitions():
            if not dry_run:
                self._instance.delete_dynamic_partition(PARTITIONS, key)
            partitions += 1
            if partitions % _PAGE == 0:
                say(f"{partitions} partitions")
        for run_id in self._old_runs():
            if not dry_run:
                self._instance.delete_run(run_id)
            runs += 1
            if runs % _PAGE == 0:
                say(f"{runs} runs")
        for key, held in self._old_intermediates():
            if not dry_run:
                self._store.delete(key)
            objects += 1
            size += held
            if objects % _PAGE == 0:
                say(f"{objects} objects")
        return Pruned(partitions, runs, objects, size)

    def _old_partitions(self) -> Iterator[str]:
        """Partitions whose jobs rest since before the cut, in Dagster's own order."""
        known = self._instance.get_dynamic_partitions(PARTITIONS)
        for page in _pages(known):
            ids = {job_id: key for key in page if (job_id := _job_id(key)) is not None}
            at_rest = self._at_rest(list(ids), self._before)
            yield from (key for job_id, key in ids.items() if job_id in at_rest)

    def _at_rest(self, job_ids: Sequence[str], before: datetime) -> set[str]:
        query = select(jobs.c.id).where(
            jobs.c.id.in_(job_ids),
            jobs.c.status.in_((JobStatus.DONE, JobStatus.FAILED)),
            jobs.c.retry_at.is_(None),
            jobs.c.updated_at < before,
        )
        return {row.id for row in self._ledger.database.all(query)}

    def _old_runs(self) -> Iterator[str]:
        """Runs that ended before the cut and made nothing that is still shown."""
        filters = dg.RunsFilter(statuses=list(_FINISHED_RUNS), updated_before=self._before)
        # All at once: a page begins after the last run of the one before, which is deleted by then.
        for page in _pages(self._instance.get_run_ids(filters)):
            query = select(jobs.c.run_id.distinct()).where(
                jobs.c.run_id.in_(page), jobs.c.updated_at >= self._before
            )
            shown = {row.run_id for row in self._ledger.database.all(query)}
            yield from (run_id for run_id in page if run_id not in shown)

    def _old_intermediates(self) -> Iterator[tuple[str, int]]:
        """Keys and bytes of intermediates of photos of which no job is under way."""
        if self._objects_before is None:
            return
        for prefix in INTERMEDIATES.values():
            old = (
                info for info in self._store.list(prefix) if info.modified < self._objects_before
            )
            for page in _pages(old):
                busy = self._busy({_photo(info.key) for info in page})
                yield from ((info.key, info.size) for info in page if _photo(info.key) not in busy)

    def _busy(self, photos: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these photos, by SKU and digest, some job may still need."""
        query = select(jobs.c.sku, jobs.c.sha256).where(
            jobs.c.sku.in_({sku for sku, _ in photos}),
            or_(
                jobs.c.status.not_in((JobStatus.DONE, JobStatus.FAILED)),
                jobs.c.retry_at.is_not(None),
            ),
        )
        return {(row.sku, row.sha256) for row in self._ledger.database.all(query)}


def _job_id(partition_key: str) -> str | None:
    try:
        return PhotoKey.parse(partition_key).job_id
    except PhotoRejected:
        return None  # somebody made it by hand: it is theirs


def _photo(key: str) -> tuple[str, str]:
    """SKU and digest, from ``…/{sku}/{sha256}.png`` or ``…/{sku}/{sha256}_{variant}.jpg``."""
    *_, sku, name = key.split("/")
    return unquote(sku), name.partition(".")[0].partition("_")[0]


def _pages(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while page := list(islice(rest, _PAGE)):
        yield page
