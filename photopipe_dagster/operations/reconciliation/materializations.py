"""The ledger against Dagster: what Dagster does not show, and what it shows of no job.

A job that has rested for longer than JOB_RETENTION_DAYS has left Dagster, and is not compared
unless its partition is still there. A younger one without a partition was never shown: an outside
orchestrator did all of it where Dagster could not be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Final

import dagster as dg

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.dagster_names import PARTITIONS
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.operations.dagster_instance import report_made
from photopipe_dagster.operations.reconciliation.findings import Discrepancy, DiscrepancyKind
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import PictureFacts, find_picture

_PAGE: Final = 500
_DELETE_IT: Final = "Delete the partition in Dagster: on an asset's page, under Partitions."


@dataclass(frozen=True)
class MaterializationComparison:
    """Compares jobs with Dagster's partitions and materializations.

    The names of partitions and, for each asset, of materialized ones are held in memory.

    Args:
        settled_before: What is younger is still on its way, and not judged.
        retired_before: What has rested since before then may have left Dagster.
    """

    ledger: Ledger
    store: ObjectStore
    instance: dg.DagsterInstance
    settled_before: datetime
    retired_before: datetime

    def findings(self) -> Iterator[Discrepancy]:
        """What is missing, and what is orphaned."""
        for jobs in self.ledger.scans.done_jobs(self.settled_before):
            for job in jobs:
                shown = job.key.partition_key in self._partitions
                if shown or job.updated_at >= self.retired_before:
                    yield from self._missing(job)
        yield from self._orphans()

    @cached_property
    def _partitions(self) -> frozenset[str]:
        return frozenset(self.instance.get_dynamic_partitions(PARTITIONS))

    @cached_property
    def _materialized(self) -> Mapping[Stage, Collection[str]]:
        return {
            stage: self.instance.get_materialized_partitions(dg.AssetKey(stage.value))
            for stage in STAGES
        }

    def _missing(self, job: Job) -> Iterator[Discrepancy]:
        stages = [
            stage
            for stage in STAGES
            if job.key.partition_key not in self._materialized[stage] and _has_made(job, stage)
        ]
        if not stages:
            return
        names = " and ".join(stages)
        facts = {stage: self._facts(job, stage) for stage in stages}
        there = {stage: known for stage, known in facts.items() if known is not None}
        found = partial(
            Discrepancy,
            DiscrepancyKind.MATERIALIZATION_MISSING,
            job.id,
            f"Job {job.id} is DONE, but Dagster shows no {names} of {job.key.partition_key}.",
            since=job.completed_at,
        )
        if len(there) == len(stages):
            yield found(
                "`photopipe reconcile --repair` reports it to Dagster; nothing is made.",
                repair=partial(self._report, job, there),
            )
        else:
            yield found(f"Materialize {names} of {job.key.partition_key} in Dagster.")

    def _facts(self, job: Job, stage: Stage) -> dict[str, Any] | None:
        """What to tell Dagster of a picture that is there; ``None`` if it is not."""
        if stage is Stage.SHOPIFY_MEDIA:
            if job.media_id is None or job.product_id is None:
                return None
            return {"product_id": job.product_id, "media_id": job.media_id}
        key = job.object_keys[stage] or job.key.object_key(stage)
        picture = find_picture(self.store, key, PictureFacts)
        if picture is None:
            return None
        return picture.facts.shown() | {"recipe": picture.recipe, "key": picture.key}

    def _report(self, job: Job, there: Mapping[Stage, Mapping[str, Any]]) -> bool:
        why = "Told by the reconciliation: it was made, and Dagster did not show it."
        for stage, facts in there.items():
            report_made(self.instance, job.key, stage, why, facts)
        return True

    def _orphans(self) -> Iterator[Discrepancy]:
        shown = sorted(self._partitions.union(*self._materialized.values()))
        for names in batched(shown, _PAGE):
            page = {name: PhotoKey.job_id_of(name) for name in names}
            known = self.ledger.scans.known_jobs({each for each in page.values() if each})
            for name, job_id in page.items():
                if job_id is None or job_id not in known:
                    yield self._orphan(name, is_photo=job_id is not None)

    def _orphan(self, name: str, *, is_photo: bool) -> Discrepancy:
        made = [stage for stage in STAGES if name in self._materialized[stage]]
        shows = f", and shows its {' and '.join(made)}" if made else ""
        return Discrepancy(
            DiscrepancyKind.PARTITION_ORPHANED,
            name,
            f"Dagster has the partition {name}{shows}, and the ledger has no such job.",
            _DELETE_IT + (self._other_way(PhotoKey.parse(name)) if is_photo else ""),
        )

    def _other_way(self, key: PhotoKey) -> str:
        """What makes a job of a partition, instead of deleting it."""
        if self.store.head(key.object_key(Stage.ORIGINAL)) is not None:
            return " Or materialize it: its original is stored, and that makes the job."
        return f" Or announce its photo: `photopipe submit FILE --sku '{key.sku}'` makes the job."


def _has_made(job: Job, stage: Stage) -> bool:
    """Whether the ledger says that a stage left something that is still there."""
    if stage is Stage.SHOPIFY_MEDIA:
        return job.media_id is not None  # unpublished jobs have none
    return job.object_keys[stage] is not None
