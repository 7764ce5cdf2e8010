"""Hard limits: never exceeded, no matter how many spend at once; free, resumed and later spending
goes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import BudgetExceededError, ErrorCode
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.budget import Limits
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster_tests.support.processes import STARTER, start
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo

ONE = Limits(day=Decimal("1.00"))


def opened(url: str, limits: Limits, clock: Clock) -> Ledger:
    ledger = Ledger(url, retry_delay_seconds=60, limits=limits, clock=clock)
    ledger.database.migrate()
    return ledger


def reserve(ledger: Ledger, what: object, usd: str = "0.07"):
    return ledger.spending.reserve(
        str(what),
        key=photo(),
        stage=Stage.MASK,
        provider="freepik",
        amount=Decimal(usd),
        owner="me",
    )


def attempt(ledger: Ledger, what: object) -> bool:
    try:
        reserve(ledger, what)
    except BudgetExceededError:
        return False
    return True


def test_threads_of_two_ledgers_never_overshoot_together(database_url: str, clock: Clock):
    one, two = opened(database_url, ONE, clock), opened(database_url, ONE, clock)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: attempt((one, two)[n % 2], n), range(40)))
    assert made.count(True) == 14
    assert one.spending.total() == Decimal("0.98")
    assert one.budget.room() == two.budget.room() == Decimal("0.02")


def buy(url: str, name: str, bought: SimpleQueue[int]) -> None:
    ledger = opened(url, ONE, lambda: datetime(2026, 11, 1, 12, tzinfo=UTC))
    bought.put(sum(attempt(ledger, f"{name}-{n}") for n in range(20)))


def test_processes_never_overshoot_together(database_url: str, clock: Clock, tmp_path: Path):
    ledger = opened(database_url, ONE, clock)
    queue = STARTER.SimpleQueue()
    running = [start(tmp_path / "log", buy, database_url, name, queue) for name in ("a", "b")]
    for process in running:
        process.join(60)
        assert process.exitcode == 0, (tmp_path / "log").read_text()
    bought = [queue.get() for _ in running]
    assert sum(bought) == 14
    assert ledger.spending.total() == Decimal("0.98")


def test_a_refusal_says_what_is_spent_when_it_goes_on_and_what_to_raise(
    database_url: str, clock: Clock
):
    ledger = opened(database_url, Limits(Decimal("0.10"), Decimal("0.12")), clock)
    reserve(ledger, 1)
    with pytest.raises(BudgetExceededError) as caught:
        reserve(ledger, 2)
    error = caught.value
    assert (error.code, error.retryable) == (ErrorCode.COST_LIMIT_ERROR, True)
    for said in ("COST_LIMIT_DAILY_USD", "0.10", "0.07", "2026-11-02 00:00", "2026-12-01 00:00"):
        assert said in error.message
    assert error.details["price_usd"] == "0.07"
    with pytest.raises(BudgetExceededError, match="more than the limit itself"):
        reserve(ledger, 3, "0.50")


def test_the_periods_end_frees_the_budget(database_url: str, clock: Clock):
    limits = Limits(Decimal("0.07"), Decimal("0.14"))
    ledger = opened(database_url, limits, clock)
    clock.now = datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC)
    assert [attempt(ledger, n) for n in range(2)] == [True, False]
    clock.move(1)
    assert [attempt(ledger, n) for n in range(10, 12)] == [True, False]
    assert ledger.budget.month().spent == Decimal("0.14")
    clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    assert attempt(ledger, 20)
    assert ledger.budget.month().spent == Decimal("0.07")


def test_a_call_of_the_day_before_counts_in_its_own_day(database_url: str, clock: Clock):
    ledger = opened(database_url, ONE, clock)
    clock.now = datetime(2026, 11, 29, tzinfo=UTC)
    reserve(ledger, "of the new day")
    clock.move(-1)
    reserve(ledger, "stamped before midnight, written after it")
    clock.move(1)
    assert ledger.budget.day().spent == Decimal("0.07")


def test_what_is_submitted_is_resumed_whatever_the_budget(database_url: str, clock: Clock):
    ledger = opened(database_url, Limits(day=Decimal("0.07")), clock)
    spend = reserve(ledger, "x")
    ledger.spending.submitted(spend.id, "task")
    assert not attempt(ledger, "y")
    assert reserve(ledger, "x").reference == "task"


def test_a_dead_call_stays_unknown_although_its_repetition_is_refused(
    database_url: str, clock: Clock
):
    ledger = opened(database_url, Limits(day=Decimal("0.07")), clock)
    ledger.intake.submit(photo(), "poll")
    reserve(ledger, "x")
    assert not attempt(ledger, "x")
    assert [each.state for each in ledger.spending.of_job(photo().job_id)] == [SpendState.UNKNOWN]


@pytest.mark.parametrize("state", list(SpendState)[2:])
def test_the_running_sum_is_the_sum_of_the_rows(database_url: str, clock: Clock, state: SpendState):
    writer, reader = opened(database_url, ONE, clock), opened(database_url, ONE, clock)
    first = [reserve(writer, n) for n in range(4)]
    for ledger in (writer, reader):
        assert ledger.budget.day().spent == Decimal("0.28")
    writer.spending.settle(first[1].id, state)
    late = reserve(writer, "late")
    for ledger in (writer, reader):
        assert ledger.budget.day().spent == writer.spending.total()
    writer.spending.settle(late.id, state)
    for spend in first:
        writer.spending.settle(spend.id, SpendState.VOID)
    for ledger in (writer, reader, opened(database_url, ONE, clock)):
        assert ledger.budget.day().spent == writer.spending.total()
        assert ledger.budget.month().spent == writer.spending.total()


def test_waiting_for_budget_uses_up_no_retries(database_url: str, clock: Clock):
    ledger = opened(database_url, ONE, clock)
    ledger.intake.submit(photo(), "poll")
    error = BudgetExceededError("spent", details={"price_usd": "0.02"})
    for _ in range(9):
        assert ledger.dispatches.take(photos_per_dispatch=9, limit=9)
        job = ledger.transitions.fail(photo().job_id, error)
        assert (job.retry_count, job.retry_at is None) == (0, False)
        clock.move(60)
        assert ledger.dispatches.take(photos_per_dispatch=9, limit=9, may_pay=lambda _: False) == []
    assert ledger.jobs.require(photo().job_id).status is JobStatus.FAILED
