"""The ledger against the object store: pictures that are gone or damaged, and objects of no job."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.money import usd
from photopipe_dagster.core.photo import PICTURE_PREFIXES, Stage, parse_object_key
from photopipe_dagster.costs.estimate import Estimator
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.operations.reconciliation.findings import Discrepancy, DiscrepancyKind
from photopipe_dagster.operations.reconciliation.remaking import remake
from photopipe_dagster.storage.base import ObjectInfo, ObjectStore
from photopipe_dagster.storage.pictures import is_sound

_PAGE: Final = 500


@dataclass(frozen=True)
class StoreComparison:
    """Compares jobs with what is stored.

    The keys of all stored pictures are held in memory, some 150 bytes each.

    Args:
        settled_before: What is younger is still on its way, and not judged.
        estimator: Says what making pictures again would cost; ``None`` if that cannot be known.
        standing: Jobs whose picture was seen on its product: only these may go out again, so that
            nothing comes back that somebody took off.
        verify: Whether to read every picture, and compare its bytes with its recorded SHA-256.
    """

    ledger: Ledger
    store: ObjectStore
    settled_before: datetime
    estimator: Estimator | None
    standing: Collection[str]
    verify: bool = False

    def findings(self) -> Iterator[Discrepancy]:
        """What is missing, and what is orphaned.

        Raises:
            StorageError: The store failed; what it did not show is never taken for missing.
        """
        present: set[str] = set()
        damaged: set[str] = set()
        for prefix in PICTURE_PREFIXES:
            for page in batched(self.store.list(prefix), _PAGE):
                present.update(info.key for info in page)
                damaged.update(self._damaged(page))
                yield from self._orphans(page)
        for jobs in self.ledger.scans.done_jobs(self.settled_before):
            for job in jobs:
                missing = self._missing(job, present)
                if missing:
                    what = f"Job {job.id} is DONE, but its {_named(missing)} is not in the store."
                    yield self._picture_lost(DiscrepancyKind.PICTURE_MISSING, job, what, missing)
                spoilt = [stage for stage, key in job.object_keys.items() if key in damaged]
                if spoilt:
                    what = (
                        f"The {_named(spoilt)} of job {job.id} is damaged in the store: its bytes "
                        "are not those of its SHA-256."
                    )
                    yield self._picture_lost(DiscrepancyKind.PICTURE_DAMAGED, job, what, spoilt)

    def _damaged(self, page: list[ObjectInfo]) -> Iterator[str]:
        for info in page if self.verify else ():
            stored = self.store.get(info.key)
            if stored is not None and not is_sound(stored):
                yield info.key

    def _orphans(self, page: list[ObjectInfo]) -> Iterator[Discrepancy]:
        names = {info.key: parse_object_key(info.key) for info in page}
        known = self.ledger.scans.known_photos({name.sku for name in names.values() if name})
        photos = {(key.sku, key.sha256, theme) for key in known for theme in (None, key.theme)}
        for info in page:
            name = names[info.key]
            if name is not None and (name.sku, name.sha256, name.theme) in photos:
                continue
            if info.modified >= self.settled_before:
                continue  # uploaded a moment before its job is announced
            yield Discrepancy(
                DiscrepancyKind.OBJECT_ORPHANED,
                info.key,
                "No job made this object."
                if name is not None
                else "This object has a name that Photopipe gives to none.",
                "Nothing uses it: delete it from the store if nobody else does.",
                info.modified,
            )

    def _missing(self, job: Job, present: Collection[str]) -> list[Stage]:
        """Stages whose picture is gone. One that the listing came too early for is asked for."""
        return [
            stage
            for stage, key in job.object_keys.items()
            if key is not None and key not in present and self.store.head(key) is None
        ]

    def _picture_lost(
        self, kind: DiscrepancyKind, job: Job, what: str, lost: list[Stage]
    ) -> Discrepancy:
        names = _named(lost)
        found = partial(Discrepancy, kind, job.id, what, since=job.completed_at)
        if Stage.ORIGINAL in lost:
            return found(
                f"Submit the photo again: `photopipe submit FILE --sku {job.key.sku!r}`. What is "
                "published stays as it is."
            )
        if kind is DiscrepancyKind.PICTURE_DAMAGED and lost != [Stage.COMPOSITE]:
            keys = " and ".join(str(job.object_keys[stage]) for stage in lost)
            return found(
                f"Delete {keys} from the store: `photopipe reconcile` says then what making it "
                "again costs."
            )
        by_hand = f"Materialize {names} of {job.key.partition_key} in Dagster"
        if self.estimator is None:
            return found(f"{by_hand}. What that costs is not known: no AI provider can be used.")
        again = remake(self.estimator, job)
        if again is None:
            return found(
                f"The original is not the photo any more: delete {job.object_keys[Stage.ORIGINAL]} "
                "from the store, and submit the photo again."
            )
        if again.price > 0:
            return found(f"{by_hand}: that buys for {usd(again.price)} USD.")
        if not again.same:
            return found(f"{by_hand}: by today's recipes it will be another picture.")
        if job.id not in self.standing:
            return found(f"{by_hand}; it is not published now, and will not be by that.")
        command = "reconcile --repair"
        if kind is DiscrepancyKind.PICTURE_DAMAGED:
            command = "reconcile --verify --repair"
        return found(
            f"`photopipe {command}` makes it again from what is stored, at no cost.",
            repair=partial(self._make_again, job, lost),
        )

    def _make_again(self, job: Job, lost: list[Stage]) -> bool:
        for stage in lost:
            self.store.delete(str(job.object_keys[stage]))  # a damaged one would be found again
        return self.ledger.transitions.redo(job.id)


def _named(stages: list[Stage]) -> str:
    return " and ".join(stages)
