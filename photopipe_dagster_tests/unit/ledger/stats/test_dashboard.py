from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.ledger.stats import rollups as hours_module
from photopipe_dagster.ledger.stats.rollups import SKUS_KEPT, RollupKind, Rollups
from photopipe_dagster.ledger.tables import days, hours

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def at(ledger: Ledger):
    """Sets the ledger's time, given in hours after midnight."""

    def to(hour: float) -> None:
        ledger.database.now = lambda: MIDNIGHT + timedelta(hours=hour)

    to(9)
    return to


def done(ledger: Ledger, sku: str, theme: str = "default", cost: str = "0.05") -> str:
    key = PhotoKey(sku, "0" * 64, theme)
    job = ledger.transitions.begin(key, "run", again=False)
    settle(ledger, reserve(ledger, key, cost))
    step = Step(Stage.BACKGROUND, "run", 3.0, cost=Decimal(cost), provider="freepik")
    ledger.transitions.advance(job.id, JobStatus.COMPOSITING, step=step)
    ledger.transitions.advance(job.id, JobStatus.DONE, published=("p", "m"))
    return job.id


def reserve(ledger: Ledger, key: PhotoKey, cost: str) -> int:
    return ledger.spending.reserve(
        key.partition_key,
        key=key,
        stage=Stage.BACKGROUND,
        provider="freepik",
        amount=Decimal(cost),
        owner="run",
    ).id


def settle(ledger: Ledger, spend_id: int, state: SpendState = SpendState.CHARGED) -> None:
    ledger.spending.settle(spend_id, state)


def sealed(ledger: Ledger) -> int:
    query = select(func.count()).where(hours.c.measure == RollupKind.FINAL)
    return ledger.database.one(query)[0]


def test_a_day_in_figures(ledger: Ledger, at):
    done(ledger, "A")
    done(ledger, "B", "luxury", "0.10")
    rejected = ledger.intake.submit(PhotoKey("C", "0" * 64, "default"), "submit").job
    ledger.transitions.fail(rejected.id, PhotoRejectedError("empty"))
    at(10.5)
    done(ledger, "C", "luxury")
    figures = ledger.dashboard.figures(1)
    assert (figures.published, figures.failed, figures.cost) == (3, 1, Decimal("0.20"))
    assert figures.success_rate == 0.75
    assert [(each.published, each.failed) for each in figures.points[9:11]] == [(2, 1), (1, 0)]
    assert len(figures.points) == 24
    assert figures.costs_by_provider == {"freepik": Decimal("0.20")}
    assert list(figures.costs_by_theme) == ["luxury", "default"]
    assert next(iter(figures.costs_by_sku.items())) == ("B", Decimal("0.10"))
    assert figures.seconds_by_stage == {Stage.BACKGROUND: 3.0}


def test_a_month_by_days(ledger: Ledger, at):
    for day in (-40, -29, -1, 0):
        at(24 * day + 9)
        done(ledger, f"SKU{day}")
    assert [ledger.dashboard.figures(days).published for days in (1, 7, 30)] == [1, 2, 3]
    points = ledger.dashboard.figures(30).points
    assert len(points) == 30
    assert [point.published for point in (points[0], points[-2], points[-1])] == [1, 1, 1]
    assert ledger.dashboard.figures(1).success_rate == 1
    at(24 * 60)
    assert ledger.dashboard.figures(7).success_rate is None


def test_hours_that_are_over_are_added_up_once(ledger: Ledger, at):
    done(ledger, "A")
    assert ledger.dashboard.figures(1).published == 1
    assert sealed(ledger) == 8  # the hour from eight is over, but not for long
    at(10.1)  # transactions of the hour before may still be open
    ledger.dashboard.figures(1)
    assert sealed(ledger) == 9
    at(12)
    first = ledger.dashboard.figures(1)
    assert sealed(ledger) == 11
    assert ledger.dashboard.figures(1) == first
    # What is made again counts again, when it is.
    job = PhotoKey("A", "0" * 64, "default")
    ledger.transitions.begin(job, "run-2", again=True)
    ledger.transitions.advance(job.job_id, JobStatus.DONE)
    assert ledger.dashboard.figures(1).published == 2


def test_an_hour_with_an_open_call_waits_for_its_end(ledger: Ledger, at):
    key = PhotoKey("A", "0" * 64, "default")
    ledger.intake.submit(key, "submit")
    spend = reserve(ledger, key, "0.05")
    at(15)
    assert ledger.dashboard.figures(1).cost == Decimal("0.05")
    assert sealed(ledger) == 13
    settle(ledger, spend, SpendState.VOID)
    assert ledger.dashboard.figures(1).cost == 0
    assert sealed(ledger) == 14


def test_two_processes_seal_an_hour_once(ledger: Ledger, at):
    done(ledger, "A")
    at(12)
    slow, quick = Rollups(ledger.database), Rollups(ledger.database)
    seal = slow._finalize

    def late(settled, sums):
        quick.sums(MIDNIGHT, by_hour=True)
        seal(settled, sums)

    slow._finalize = late
    slow.sums(MIDNIGHT, by_hour=True)
    assert sealed(ledger) == 11
    assert ledger.dashboard.figures(1).published == 1


# --- days --------------------------------------------------------------------------------


def sealed_days(ledger: Ledger) -> set[datetime]:
    query = select(days.c.day).where(days.c.measure == RollupKind.FINAL)
    return {row.day for row in ledger.database.all(query)}


def month_of_everything(ledger: Ledger, at) -> None:
    """Photos that end well and badly, calls of every end, at borders of hours and days."""
    moments = (-24 * 40, -24 * 29, -24 * 20 - 0.5, -24.0, -1e-9, 0.0, 1.5, 8.9)
    ends = [SpendState.CHARGED, SpendState.VOID, SpendState.UNKNOWN]
    for number, hour in enumerate(moments):
        at(hour)
        theme = ("default", "luxury")[number % 2]
        done(ledger, f"SKU-{number}", theme, f"0.{number + 1:06d}")
        for end in ends:
            key = PhotoKey(f"SKU-{number}-{end}", "0" * 64, theme)
            job = ledger.intake.submit(key, "submit").job
            settle(ledger, reserve(ledger, key, "0.033333"), end)
            ledger.transitions.fail(job.id, PhotoRejectedError("empty"))


def check_against_the_ledger(ledger: Ledger, period: int) -> None:
    """Each point, and each sum, is what the rows themselves come to."""
    figures = ledger.dashboard.figures(period)
    for point in figures.points:
        end = point.begins + (timedelta(hours=1) if period == 1 else timedelta(days=1))
        accounts = ledger.cost_breakdown.between(point.begins, end)
        assert point.cost == sum(account.total for account in accounts), point
        assert point.published == ledger.cost_breakdown.published(point.begins, end), point
    since = figures.points[0].begins
    assert figures.cost == ledger.spending.total(since)
    for column, costs in (
        ("provider", figures.costs_by_provider),
        ("theme", figures.costs_by_theme),
    ):
        assert costs == {
            row[column]: row["amount"] for row in ledger.spending.by(column, since=since)
        }
    spent = {row["sku"]: row["amount"] for row in ledger.spending.by("sku", since=since)}
    highest = sorted(spent.values(), reverse=True)
    assert list(figures.costs_by_sku.values()) == highest[: len(figures.costs_by_sku)]
    assert all(spent[sku] == cost for sku, cost in figures.costs_by_sku.items())


def test_days_are_what_the_ledger_comes_to(ledger: Ledger, at):
    month_of_everything(ledger, at)
    at(9)
    first = {period: ledger.dashboard.figures(period) for period in (1, 7, 30)}
    assert len(sealed_days(ledger)) == 29
    for period in (1, 7, 30):
        check_against_the_ledger(ledger, period)
        assert ledger.dashboard.figures(period) == first[period]
    figures = first[30]
    assert (figures.published, figures.failed) == (7, 21)
    assert sum(point.published for point in figures.points[-2:]) == 5
    assert figures.points[-1].published == 3
    assert figures.seconds_by_stage == {Stage.BACKGROUND: 3.0}


def test_days_are_those_of_utc_wherever_the_clock_hangs(ledger: Ledger, at):
    month_of_everything(ledger, at)
    at(9)
    figures = ledger.dashboard.figures(7)
    there = timezone(timedelta(hours=14))
    ledger.database.now = lambda: (MIDNIGHT + timedelta(hours=9)).astimezone(there)
    for period in (1, 7):
        check_against_the_ledger(ledger, period)
    assert ledger.dashboard.figures(7) == figures


def test_a_day_with_an_open_call_waits_for_its_end(ledger: Ledger, at):
    at(-10)
    key = PhotoKey("A", "0" * 64, "default")
    ledger.intake.submit(key, "submit")
    spend = reserve(ledger, key, "0.05")
    at(9)
    yesterday = MIDNIGHT - timedelta(days=1)
    assert ledger.dashboard.figures(7).points[-2].cost == Decimal("0.05")
    assert yesterday not in sealed_days(ledger)
    assert len(sealed_days(ledger)) == 5
    settle(ledger, spend, SpendState.VOID)
    assert ledger.dashboard.figures(7).points[-2].cost == 0
    assert yesterday in sealed_days(ledger)
    check_against_the_ledger(ledger, 7)


@pytest.mark.parametrize("before", ["_hours_with_open_spending", "_all_sums"])
def test_a_call_that_ends_during_a_look_is_added_up_as_it_ended(
    ledger: Ledger, at, monkeypatch, before
):
    at(2)
    key = PhotoKey("A", "0" * 64, "default")
    ledger.intake.submit(key, "submit")
    spend = reserve(ledger, key, "0.05")
    at(9)
    look = getattr(hours_module, before)

    def after_it_ended(*args):
        settle(ledger, spend, SpendState.VOID)
        return look(*args)

    monkeypatch.setattr(hours_module, before, after_it_ended)
    ledger.dashboard.figures(1)
    monkeypatch.undo()
    check_against_the_ledger(ledger, 1)


def test_two_processes_seal_a_day_once(ledger: Ledger, at):
    month_of_everything(ledger, at)
    at(9)
    slow, quick = Rollups(ledger.database), Rollups(ledger.database)
    seal = slow._finalize_day

    def late(day):
        quick.catch_up(MIDNIGHT - timedelta(days=6))
        seal(day)

    slow._finalize_day = late
    slow.sums(MIDNIGHT - timedelta(days=6), by_hour=False)
    assert len(sealed_days(ledger)) == 6
    check_against_the_ledger(ledger, 7)


def test_what_others_keep_during_a_look_is_told_once(ledger: Ledger, at):
    """Their clock is ahead: they keep an hour, and a day, that this look holds to be open."""
    at(-1)
    done(ledger, "A")
    at(1.1)
    look, ahead = Rollups(ledger.database), Rollups(ledger.database)
    kept = look._kept_days

    def meanwhile(since):
        at(1.2)
        ahead.catch_up(since)
        at(1.1)
        return kept(since)

    look._kept_days = meanwhile
    since = MIDNIGHT - timedelta(days=6)
    published = [each for each in look.sums(since, by_hour=False) if each.measure == "published"]
    assert [each.count for each in published] == [1]
    assert len(sealed_days(ledger)) == 6


def test_what_is_prepared_is_not_added_up_again(ledger: Ledger, at, monkeypatch):
    month_of_everything(ledger, at)
    at(9)
    ledger.dashboard.warm_up()
    asked = []
    add_up = hours_module._all_sums
    monkeypatch.setattr(
        hours_module, "_all_sums", lambda *times: (asked.append(times), add_up(*times))[1]
    )
    ledger.dashboard.figures(30)
    assert asked == [(MIDNIGHT + timedelta(hours=8), MIDNIGHT + timedelta(hours=10))]


def test_what_is_prepared_stops_between_days_and_goes_on_the_next_time(
    ledger: Ledger, at, monkeypatch
):
    month_of_everything(ledger, at)
    at(9)
    asked = []
    add_up = hours_module._all_sums
    monkeypatch.setattr(
        hours_module, "_all_sums", lambda *times: (asked.append(times), add_up(*times))[1]
    )
    ledger.dashboard.warm_up(lambda: len(asked) == 3)
    assert [end - begin for begin, end in asked] == [timedelta(days=1)] * 3
    assert (sealed(ledger), sealed_days(ledger)) == (3 * 24, set())
    stopped = asked[-1][1]
    ledger.dashboard.warm_up(lambda: False)
    assert asked[3][0] == stopped
    assert len(sealed_days(ledger)) == 29
    check_against_the_ledger(ledger, 30)


def test_an_hour_keeps_its_costliest_skus(ledger: Ledger, at):
    for number in range(SKUS_KEPT + 5):
        key = PhotoKey(f"SKU-{number}", "0" * 64, "default")
        ledger.intake.submit(key, "submit")
        settle(ledger, reserve(ledger, key, f"0.{number + 10}"))
    at(12)
    figures = ledger.dashboard.figures(7)
    assert list(figures.costs_by_sku)[:2] == ["SKU-24", "SKU-23"]
    query = select(func.count()).where(hours.c.measure == RollupKind.SKU)
    assert ledger.database.one(query)[0] == SKUS_KEPT


def test_what_a_person_decided_is_no_failure(ledger: Ledger, at):
    done(ledger, "A")
    keys = [PhotoKey(sku, "0" * 64, "default") for sku in "BC"]
    ledger.intake.submit(keys[0], "submit")
    ledger.transitions.cancel(keys[0].job_id, by="Ann")
    ledger.transitions.begin(keys[1], "run", again=False)
    ledger.transitions.hold(keys[1].job_id, ["look"], "d")
    ledger.reviews.reject(keys[1].job_id, by="Ann", reason="")
    for hour in (10, 14):  # as it happens, and as it is kept
        at(hour)
        figures = ledger.dashboard.figures(1)
        assert (figures.failed, figures.success_rate) == (0, 1)
    assert ledger.dashboard.given_up(9) == []


def test_what_is_stuck(ledger: Ledger, at):
    stuck = ledger.transitions.begin(PhotoKey("A", "0" * 64, "default"), "run", again=False)
    held = ledger.transitions.begin(PhotoKey("B", "0" * 64, "default"), "run", again=False)
    ledger.transitions.hold(held.id, ["look"], "d")
    failed = ledger.intake.submit(PhotoKey("C", "0" * 64, "default"), "submit").job
    ledger.transitions.fail(failed.id, PhotoRejectedError("empty"))
    assert ledger.dashboard.stalled(9) == []
    at(12)
    assert [job.id for job in ledger.dashboard.stalled(9)] == [stuck.id]
    assert [job.id for job in ledger.dashboard.given_up(9)] == [failed.id]
    ledger.transitions.retry(failed.id)
    assert ledger.dashboard.given_up(9) == []


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("a", ["a", "ab", "a%b", "a_b", "A", "MUG-a", "MÜLLER a"]),
        ("A", ["a", "ab", "a%b", "a_b", "A", "MUG-a", "MÜLLER a"]),
        ("a%", ["a%b"]),
        ("a_", ["a_b"]),
        ("AB", ["ab"]),
        ("ug-", ["MUG-a"]),
        ("müll", ["MÜLLER a"]),
        ("MÜLL", ["MÜLLER a"]),
        ("\\", []),
        ("/", []),
        ("x' OR 1=1 --", []),
    ],
)
@pytest.mark.parametrize("named", [50, 1])
def test_skus_are_searched_by_any_part_in_any_case(
    ledger: Ledger, part, found, named, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("photopipe_dagster.ledger.jobs.queries._SKUS_MATCHED", named)
    for sku in ("a", "ab", "a%b", "a_b", "A", "b", "MUG-a", "MÜLLER a"):
        ledger.intake.submit(PhotoKey(sku, "0" * 64, "default"), "submit")
    which = JobQuery(sku_part=part)
    jobs = ledger.jobs.find(which, limit=9)
    assert {job.key.sku for job in jobs} == set(found)
    assert ledger.jobs.count(which) == len(found)
