"""What does not move: a ledger whose clock can be moved, a real store and a real instance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from photopipe_dagster.core.dagster_names import DISPATCH_TAG
from photopipe_dagster.core.errors import BudgetExceededError, ErrorCode, JobError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import job_lease, run_lease
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import Spend, SpendState
from photopipe_dagster.operations.reconciliation.findings import DiscrepancyKind
from photopipe_dagster.operations.reconciliation.reconciler import Reconciler
from photopipe_dagster.operations.reconciliation.report import Report
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.storage.pictures import DIGEST, RECIPE
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo
from photopipe_dagster_tests.unit.operations.reconciliation.conftest import found

HOUR = 3600
NEVER = JobError("a person has to look", code=ErrorCode.VALIDATION_ERROR)


@dataclass
class Books:
    ledger: Ledger
    store: ObjectStore
    clock: Clock
    settings: Settings
    instance: dg.DagsterInstance | None

    def reconcile(self, *, repair: bool = False) -> Report:
        return Reconciler(self.settings, self.ledger, self.store, self.instance).run(repair=repair)

    def buy(self, key: PhotoKey, stage: Stage, reference: str | None = None) -> Spend:
        """Begun, and nobody writes how it ended."""
        spend = self.ledger.spending.reserve(
            f"{key.object_key(stage)}#{key.sku}",
            key=key,
            stage=stage,
            provider="freepik",
            amount=Decimal("0.05"),
            owner=f"owner of {key.sku}",
        )
        if reference is not None:
            self.ledger.spending.submitted(spend.id, reference)
        return spend

    def states(self, key: PhotoKey) -> list[SpendState]:
        return [spend.state for spend in self.ledger.spending.of_job(key.job_id)]


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("URL_SIGNING_SECRET", "a secret of the tests")
    settings, clock = Settings(_env_file=None), Clock()
    ledger = Ledger(settings.ledger_url, lease_seconds=30, clock=clock)
    ledger.database.migrate()
    with dagster_instance() as instance:
        yield Books(ledger, object_store(settings), clock, settings, instance)
    ledger.close()


def test_a_job_whose_run_died_is_handed_back(books: Books) -> None:
    job = photo(1).job_id
    books.ledger.transitions.begin(photo(1), "run", again=True)
    books.ledger.leases.take([job_lease(job), run_lease("run")], "run")
    assert books.reconcile().findings == ()
    books.clock.move(2 * HOUR)
    seen = found(books.reconcile(repair=True))
    assert seen.keys() == {
        (DiscrepancyKind.JOB_STUCK, job),
        (DiscrepancyKind.CLAIM_EXPIRED, job_lease(job)),
        (DiscrepancyKind.CLAIM_EXPIRED, run_lease("run")),
    }
    assert not seen[DiscrepancyKind.CLAIM_EXPIRED, run_lease("run")].repairable, (
        "the sensor expires the run"
    )
    (dispatch,) = books.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert dispatch.keys == (photo(1),)
    assert found(books.reconcile()).keys() == {(DiscrepancyKind.CLAIM_EXPIRED, run_lease("run"))}
    books.ledger.leases.forget(run_lease("run"))
    assert books.reconcile().findings == ()


def test_a_dispatch_that_no_run_took_up_is_handed_back_unless_a_run_is_to_come(
    books: Books,
) -> None:
    intake = books.ledger.intake
    intake.submit(photo(1), "poll")
    (lost,) = books.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    intake.submit(photo(2), "poll")
    (to_come,) = books.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert books.instance is not None
    run = dg.DagsterRun(
        "photos", status=dg.DagsterRunStatus.NOT_STARTED, tags={DISPATCH_TAG: to_come.id}
    )
    books.instance.add_run(run)
    books.clock.move(2 * HOUR)
    books.instance, there = None, books.instance
    blind = found(books.reconcile(repair=True))
    assert blind.keys() == {
        (DiscrepancyKind.DISPATCH_STUCK, lost.id),
        (DiscrepancyKind.DISPATCH_STUCK, to_come.id),
    }
    assert not any(finding.repaired for finding in blind.values())
    books.instance = there
    assert found(books.reconcile(repair=True)).keys() == {(DiscrepancyKind.DISPATCH_STUCK, lost.id)}
    (again,) = books.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert again.keys == (photo(1),)
    assert books.reconcile().findings == ()


def test_jobs_that_are_due_need_a_daemon_and_those_without_budget_do_not(books: Books) -> None:
    transitions, clock = books.ledger.transitions, books.clock
    since = clock.now
    books.ledger.intake.submit(photo(1), "poll")
    transitions.begin(photo(2), "run", again=True)
    transitions.fail(photo(2).job_id, BudgetExceededError("no money"))
    transitions.begin(photo(3), "run", again=True)
    transitions.fail(photo(3).job_id, NEVER)
    clock.move(2 * HOUR)
    (finding,) = books.reconcile(repair=True).findings
    assert (finding.kind, finding.subject, finding.since) == (
        DiscrepancyKind.NOT_DISPATCHED,
        "1 jobs",
        since,
    )
    assert finding.needs_person
    assert not finding.repairable


def test_purchases_whose_process_died_are_settled_where_that_is_certain(books: Books) -> None:
    ledger, store = books.ledger, books.store
    reserved, stored, submitted, retried, alive = (photo(number) for number in range(1, 6))
    for key in (reserved, stored, submitted, retried, alive):
        ledger.transitions.begin(key, "run", again=True)
    books.buy(reserved, Stage.MASK)
    books.buy(stored, Stage.MASK, reference="task")
    store.put(
        stored.object_key(Stage.MASK),
        b"png",
        content_type="image/png",
        metadata={RECIPE: stored.sku, DIGEST: hashlib.sha256(b"png").hexdigest()},
    )
    open_spend = books.buy(submitted, Stage.BACKGROUND, reference="https://x.test/?token=SECRET")
    books.buy(retried, Stage.MASK)
    books.buy(alive, Stage.MASK)
    for key in (reserved, stored, submitted, alive):
        ledger.transitions.fail(key.job_id, NEVER)
    ledger.transitions.fail(retried.job_id, BudgetExceededError("no money"))
    books.clock.move(2 * HOUR)
    ledger.leases.take(["mask"], f"owner of {alive.sku}")
    spent = ledger.spending.total()

    report = books.reconcile(repair=True)
    seen = {finding.subject: finding for finding in report.findings}
    assert {finding.kind for finding in seen.values()} == {DiscrepancyKind.SPENDING_OPEN}
    assert sum(finding.repaired for finding in seen.values()) == 2
    left = seen[f"spending {open_spend.id}"]
    assert f"photopipe retry {submitted.job_id}" in left.remedy
    assert "SECRET" not in str(report.as_json())
    assert books.states(reserved) == [SpendState.UNKNOWN]
    assert books.states(stored) == [SpendState.CHARGED]
    assert books.states(submitted) == [SpendState.SUBMITTED]
    assert books.states(retried) == books.states(alive) == [SpendState.RESERVED]
    assert ledger.spending.total() == spent, "repairing neither spends nor forgets"
    assert [finding.subject for finding in books.reconcile().findings] == [left.subject]

    ledger.transitions.retry(submitted.job_id)
    resumed = books.buy(submitted, Stage.BACKGROUND)
    assert (resumed.id, resumed.reference is not None) == (open_spend.id, True)


def test_a_purchase_is_not_settled_while_somebody_is_at_it(books: Books) -> None:
    ledger, key = books.ledger, photo(1)
    ledger.transitions.begin(key, "run", again=True)
    books.buy(key, Stage.BACKGROUND)
    ledger.transitions.fail(key.job_id, NEVER)
    books.clock.move(2 * HOUR)
    ledger.leases.take([job_lease(key.job_id)], "another run")
    (finding,) = books.reconcile(repair=True).findings
    assert (finding.repairable, finding.repaired) == (True, False)
    assert books.states(key) == [SpendState.RESERVED]
    ledger.leases.release("another run")
    assert books.reconcile(repair=True).repaired == 1
    assert ledger.jobs.require(key.job_id).status is JobStatus.FAILED
    assert books.reconcile().findings == ()
