"""The ledger against the clock: what should have moved, and did not.

The sensor `photo_dispatch` looks after most of this within minutes. What is found here has stayed
for longer, so the daemon is off, or something is not as anybody thought.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import dagster as dg

from photopipe_dagster.core.dagster_names import DISPATCH_TAG
from photopipe_dagster.core.money import usd
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.dispatches import Dispatch
from photopipe_dagster.ledger.jobs.leases import cutout_lease, job_lease
from photopipe_dagster.ledger.jobs.model import Job, can_retry
from photopipe_dagster.ledger.jobs.statuses import AT_REST
from photopipe_dagster.ledger.money.spending import Spend, SpendState
from photopipe_dagster.ledger.stats.scans import ExpiredLease
from photopipe_dagster.operations.reconciliation.findings import Discrepancy, DiscrepancyKind
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import RECIPE

_DAEMON: Final = (
    "See that Dagster's daemon runs and that its sensor `photo_dispatch` is on: it sends jobs out."
)
_REPAIR: Final = "`photopipe reconcile --repair`"


@dataclass(frozen=True)
class StuckComparison:
    """Finds what does not move.

    Args:
        instance: Says whether a run is still to come; ``None`` if there is no Dagster here.
        settled_before: What is younger is still on its way, and not judged.
    """

    ledger: Ledger
    store: ObjectStore
    instance: dg.DagsterInstance | None
    settled_before: datetime

    def findings(self) -> Iterator[Discrepancy]:
        """Jobs, dispatches, purchases and leases that nobody is at work on."""
        yield from self._waiting()
        for job in self.ledger.dispatches.abandoned():
            if job.updated_at < self.settled_before:
                yield self._stuck(job)
        age = (self.ledger.database.now() - self.settled_before).total_seconds()
        for dispatch in self.ledger.dispatches.undelivered(age):
            yield from self._undelivered(dispatch)
        spends = self.ledger.scans.open_spending(self.settled_before)
        jobs = self.ledger.scans.jobs_of({spend.job_id for spend in spends})
        for spend in spends:
            yield from self._open(spend, jobs.get(spend.job_id))
        for lease in self.ledger.scans.expired_leases(self.settled_before):
            yield self._ended(lease)

    def _waiting(self) -> Iterator[Discrepancy]:
        waiting = self.ledger.scans.waiting(self.settled_before)
        if waiting is not None:
            yield Discrepancy(
                DiscrepancyKind.NOT_DISPATCHED,
                f"{waiting.count} jobs",
                f"{waiting.count} jobs are due and are not sent out.",
                _DAEMON,
                waiting.since,
            )

    def _stuck(self, job: Job) -> Discrepancy:
        return Discrepancy(
            DiscrepancyKind.JOB_STUCK,
            job.id,
            f"Job {job.id} is {job.status}, and its run {job.run_id} is dead.",
            f"{_REPAIR} hands it back: it goes out again, and what is paid is kept.",
            job.updated_at,
            repair=partial(self._hand_back, [job.id], job.run_id),
        )

    def _undelivered(self, dispatch: Dispatch) -> Iterator[Discrepancy]:
        found = partial(
            Discrepancy,
            DiscrepancyKind.DISPATCH_STUCK,
            dispatch.id,
            f"{len(dispatch.keys)} jobs of the dispatch {dispatch.id} were picked up by no run.",
        )
        if self.instance is None:
            yield found("See in Dagster whether a run of it is still queued. " + _DAEMON)
            return
        runs = self.instance.get_runs(dg.RunsFilter(tags={DISPATCH_TAG: dispatch.id}))
        if any(not run.is_finished for run in runs):
            return  # it waits for its turn in Dagster's queue
        ids = [key.job_id for key in dispatch.keys]
        yield found(
            f"{_REPAIR} hands them back: they go out again.",
            repair=partial(self._hand_back, ids, None),
        )

    def _hand_back(self, job_ids: list[str], run_id: str | None) -> bool:
        self.ledger.transitions.requeue(job_ids, run_id)
        return True

    # --- money ---------------------------------------------------------------------------

    def _open(self, spend: Spend, job: Job | None) -> Iterator[Discrepancy]:
        """What its next attempt will settle is no finding."""
        if job is not None and _goes_on(job):
            return
        found = partial(
            Discrepancy,
            DiscrepancyKind.SPENDING_OPEN,
            f"spending {spend.id}",
            f"How the {spend.stage} of job {spend.job_id} for {usd(spend.amount)} USD ended was "
            f"never written ({spend.state}), and its process is dead.",
            since=spend.created_at,
        )
        if job is None:
            yield found("Its job is not in the ledger: ask the provider what was billed.")
        elif self._stored(spend):
            yield found(
                f"What was bought is in the store: {_REPAIR} books it as charged.",
                repair=partial(self._settle, spend, job, SpendState.CHARGED),
            )
        elif spend.state is SpendState.RESERVED:
            yield found(
                f"{_REPAIR} books it as unknown: it counts at full price, and the next attempt "
                "may buy again.",
                repair=partial(self._settle, spend, job, SpendState.UNKNOWN),
            )
        else:
            again = (
                f"`photopipe retry {job.id}`"
                if can_retry(job)
                else f"Materialize {spend.stage} of {job.key.partition_key} in Dagster: it"
            )
            yield found(f"{again} fetches what is bought, without paying again.")

    def _stored(self, spend: Spend) -> bool:
        """Whether the store has what was bought: the purchase's name is its key and recipe."""
        key, _, recipe_id = spend.purchase_key.rpartition("#")
        info = self.store.head(key) if key else None
        return info is not None and info.metadata.get(RECIPE) == recipe_id

    def _settle(self, spend: Spend, job: Job, state: SpendState) -> bool:
        """Settle while nobody else can buy the same; False if somebody is at it."""
        owner = f"reconcile-{secrets.token_hex(8)}"
        leases = [job_lease(job.id)]
        if spend.stage is Stage.MASK:
            leases.append(cutout_lease(job.key))
        try:
            if len(self.ledger.leases.take(leases, owner)) < len(leases):
                return False
            self.ledger.spending.settle(spend.id, state, "settled by the reconciliation")
            return True
        finally:
            self.ledger.leases.release(owner)

    # --- leases --------------------------------------------------------------------------

    def _ended(self, lease: ExpiredLease) -> Discrepancy:
        found = partial(
            Discrepancy,
            DiscrepancyKind.CLAIM_EXPIRED,
            lease.name,
            f"The lease {lease.name} has ended, and its process never gave it back.",
            since=lease.expired_at,
        )
        if lease.of_run:
            return found(f"The run died, and nobody has written that down. {_DAEMON}")
        return found(
            f"Harmless; {_REPAIR} removes it.",
            repair=partial(self.ledger.leases.forget, lease.name),
        )


def _goes_on(job: Job) -> bool:
    """Whether the job will come to its purchase again by itself."""
    return job.status not in AT_REST or job.retry_at is not None
