"""Retention: what is finished leaves Dagster, and old intermediates may leave the store.

The ledger keeps every job and every cent; reports do not change. A photo whose partition has left
comes back as a new partition as soon as something is to be done with it. An intermediate that has
left is forgotten by its jobs: nobody misses it, and anyone who needs it again has it made, and
pays.

Everything here may be interrupted at any moment and started again: what is gone is gone, and what
is left is found again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import dagster as dg

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.dagster_names import PARTITIONS
from photopipe_dagster.core.photo import PhotoKey, parse_object_key
from photopipe_dagster.core.stages import SPECS, STAGES, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import cutout_lease
from photopipe_dagster.operations.dagster_cleanup import delete_events_of_no_run, delete_runs
from photopipe_dagster.storage.base import ObjectInfo, ObjectStore

INTERMEDIATES: Final = (Stage.MASK, Stage.BACKGROUND)
"""What can be made again, or is not looked at any more once a photo is published."""

_PAGE: Final = 500

_RUNS_AT_ONCE: Final = 100

_OBJECTS_HELD: Final = 100
"""So many are deleted under one lease: on a slow store within a fraction of it."""

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


@dataclass(frozen=True, slots=True)
class _Intermediate:
    """A stored picture, and the photo that it is of; of a cut-out, in whichever theme."""

    info: ObjectInfo
    photo: PhotoKey


class Retention:
    """Prunes one installation.

    Args:
        instance: Dagster's, with its partitions, runs and events.
        days: Days after which a finished photo leaves Dagster.
        intermediates_days: Days after which cut-outs and backgrounds leave the store; ``None``:
            never. A photo set in another theme after that needs, and pays, a new cut-out.
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

    def prune(self, *, dry_run: bool, progress: Callable[[str], None] = lambda _: None) -> Pruned:
        """Prune, or say what would be.

        Args:
            progress: Told of progress.
        """
        partitions = runs = objects = size = 0
        for keys in self._old_partitions():
            if not dry_run:
                self._delete_partitions(keys)
            partitions += len(keys)
            progress(f"{partitions} partitions")
        for run_ids in self._old_runs():
            if not dry_run:
                delete_runs(self._instance, run_ids)
            runs += len(run_ids)
            progress(f"{runs} runs")
        for stage, page in self._old_intermediates():
            with self._held(page, dry_run) as held:
                free = self._not_needed(held)
                if not dry_run:
                    self._delete_objects(stage, free)
            objects += len(free)
            size += sum(picture.info.size for picture in free)
            progress(f"{objects} objects")
        return Pruned(partitions, runs, objects, size)

    def _delete_partitions(self, keys: Sequence[str]) -> None:
        stages = [dg.AssetKey(stage.value) for stage in STAGES]
        delete_events_of_no_run(self._instance, stages, keys)
        for key in keys:
            self._instance.delete_dynamic_partition(PARTITIONS, key)

    def _delete_objects(self, stage: Stage, pictures: Sequence[_Intermediate]) -> None:
        # The jobs forget them first: if this is killed in between, the next time deletes them.
        keys = [picture.info.key for picture in pictures]
        skus = {picture.photo.sku for picture in pictures}
        self._ledger.transitions.forget_pictures(stage, skus, keys)
        for key in keys:
            self._store.delete(key)

    def _old_partitions(self) -> Iterator[list[str]]:
        """Partitions whose jobs rest since before the cut, in pages, in Dagster's own order."""
        known = self._instance.get_dynamic_partitions(PARTITIONS)
        for page in batched(known, _PAGE):
            # One that somebody made by hand is theirs.
            ids = {job_id: key for key in page if (job_id := PhotoKey.job_id_of(key)) is not None}
            at_rest = self._ledger.jobs.at_rest(ids, self._before)
            if at_rest:
                yield [key for job_id, key in ids.items() if job_id in at_rest]

    def _old_runs(self) -> Iterator[list[str]]:
        """Runs that ended before the cut and made nothing that is still shown, in pages."""
        filters = dg.RunsFilter(statuses=list(_FINISHED_RUNS), updated_before=self._before)
        # All at once: a page begins after the last run of the one before, which is deleted by then.
        for page in batched(self._instance.get_run_ids(filters), _PAGE):
            shown = self._ledger.jobs.runs_of_changed(page, self._before)
            old = [run_id for run_id in page if run_id not in shown]
            yield from batched(old, _RUNS_AT_ONCE)

    def _old_intermediates(self) -> Iterator[tuple[Stage, list[_Intermediate]]]:
        """Intermediates that are old enough, in pages; objects of other names are not ours."""
        if self._objects_before is None:
            return
        for stage in INTERMEDIATES:
            prefix = f"{SPECS[stage].folder}/"
            old = (
                _Intermediate(info, PhotoKey(name.sku, name.sha256, name.theme or "default"))
                for info in self._store.list(prefix)
                if info.modified < self._objects_before and (name := parse_object_key(info.key))
            )
            yield from ((stage, page) for page in batched(old, _OBJECTS_HELD))

    @contextmanager
    def _held(self, page: list[_Intermediate], dry_run: bool) -> Iterator[list[_Intermediate]]:
        """Those of which no run can look for the cut-out until the block ends.

        A run looks for it under its lease, and for the background after that.
        """
        if dry_run:
            yield page
            return
        leases, owner = self._ledger.leases, f"retention-{secrets.token_hex(4)}"
        held = leases.take({cutout_lease(picture.photo) for picture in page}, owner)
        try:
            yield [picture for picture in page if cutout_lease(picture.photo) in held]
        finally:
            leases.release(owner)

    def _not_needed(self, page: Sequence[_Intermediate]) -> list[_Intermediate]:
        busy = self._ledger.jobs.photos_not_at_rest({picture.photo.sku for picture in page})
        return [each for each in page if (each.photo.sku, each.photo.sha256) not in busy]
