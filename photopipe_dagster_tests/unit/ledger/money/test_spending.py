from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from sqlalchemy import update

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.ledger.tables import spending
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo


@pytest.fixture(autouse=True)
def job(ledger: Ledger):
    return ledger.intake.submit(photo(), "poll").job


def reserve(ledger: Ledger, what: str = "mask", owner: str = "me", usd: str = "0.02"):
    return ledger.spending.reserve(
        what,
        key=photo(),
        stage=Stage.MASK if what == "mask" else Stage.BACKGROUND,
        provider="freepik",
        amount=Decimal(usd),
        owner=owner,
    )


def states(ledger: Ledger) -> list[SpendState]:
    return [spend.state for spend in ledger.spending.of_job(photo().job_id)]


def test_a_purchase_is_written_before_it_is_made_and_counts_at_once(ledger: Ledger):
    spend = reserve(ledger)
    assert states(ledger) == [SpendState.RESERVED]
    assert ledger.spending.total() == Decimal("0.02")
    ledger.spending.submitted(spend.id, "task-1")
    ledger.spending.settle(spend.id, SpendState.CHARGED)
    assert states(ledger) == [SpendState.CHARGED]
    job = ledger.jobs.require(photo().job_id)
    assert (job.segmentation_cost, job.background_cost) == (Decimal("0.02"), 0)


def test_a_submitted_purchase_of_a_dead_process_is_resumed(ledger: Ledger):
    first = reserve(ledger)
    ledger.spending.submitted(first.id, "task-1")
    again = reserve(ledger, owner="another")
    assert (again.id, again.reference) == (first.id, "task-1")
    assert ledger.spending.total() == Decimal("0.02")


def test_a_reserved_purchase_of_a_dead_process_is_unknown_and_counts(ledger: Ledger):
    reserve(ledger)
    again = reserve(ledger, owner="another")
    assert again.reference is None
    assert states(ledger) == [SpendState.UNKNOWN, SpendState.RESERVED]
    assert ledger.spending.total() == Decimal("0.04")


def test_void_costs_nothing_and_settling_twice_changes_nothing(ledger: Ledger):
    spend = reserve(ledger)
    ledger.spending.settle(spend.id, SpendState.VOID, "401")
    ledger.spending.settle(spend.id, SpendState.CHARGED)
    ledger.spending.submitted(spend.id, "late")
    assert states(ledger) == [SpendState.VOID]
    assert ledger.spending.total() == 0
    assert ledger.jobs.require(photo().job_id).total_cost == 0


def test_references_are_dropped_when_they_are_no_longer_needed_and_never_shown(ledger: Ledger):
    spend = reserve(ledger)
    ledger.spending.submitted(spend.id, "https://x.test/?token=SECRET")
    assert "SECRET" not in repr(ledger.spending.of_job(photo().job_id))
    ledger.spending.settle(spend.id, SpendState.CHARGED)
    assert ledger.spending.of_job(photo().job_id)[0].reference is None


def test_what_is_in_the_store_is_charged_although_its_process_died_before_saying_so(ledger: Ledger):
    spend = reserve(ledger)
    ledger.spending.submitted(spend.id, "task")
    ledger.spending.kept("another thing")
    assert ledger.spending.of_job(photo().job_id)[0].state is SpendState.SUBMITTED
    ledger.spending.kept(spend.purchase_key)
    ledger.spending.kept(spend.purchase_key)
    (settled,) = ledger.spending.of_job(photo().job_id)
    assert (settled.state, settled.discarded) == (SpendState.CHARGED, False)


def test_sums_are_exact(ledger: Ledger, clock: Clock):
    for number in range(100):
        key = PhotoKey(f"S{number}", "0" * 64, "default")
        ledger.spending.reserve(
            str(number),
            key=key,
            stage=Stage.MASK,
            provider="freepik",
            amount=Decimal("0.07"),
            owner="me",
        )
    assert ledger.spending.total() == Decimal("7.00")
    (row,) = ledger.spending.by("provider", "stage")
    assert (row["amount"], row["attempts"]) == (Decimal("7.00"), 100)
    clock.move(1)
    assert ledger.spending.total(since=clock.now) == 0


def test_a_jobs_own_sum_is_right_however_many_write_at_once(ledger: Ledger):
    together = Barrier(6)

    def buy(what: str) -> None:
        together.wait(10)
        reserve(ledger, what=what, usd="0.05")

    with ThreadPoolExecutor(6) as pool:
        for turn in range(8):
            list(pool.map(buy, [f"picture {turn}-{number}" for number in range(6)]))
            spent = ledger.jobs.require(photo().job_id).background_cost
            assert spent == ledger.spending.total() == Decimal("0.05") * 6 * (turn + 1)


def test_an_amount_finer_than_a_micro_dollar_is_refused(ledger: Ledger):
    with pytest.raises(Exception, match="finer"):
        reserve(ledger, usd="0.00000001")


def test_money_is_stored_as_whole_micro_dollars(ledger: Ledger):
    spend = reserve(ledger)
    with ledger.database.write() as connection:
        connection.execute(
            update(spending).where(spending.c.id == spend.id).values(amount=Decimal("0.000001"))
        )
        raw = connection.exec_driver_sql("SELECT amount FROM spending").scalar()
    assert raw == 1
