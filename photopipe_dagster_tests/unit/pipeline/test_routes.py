"""When the next provider of a route is asked, and when not."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    JobError,
    NetworkError,
    PhotoRejectedError,
    ProviderError,
    RateLimitError,
    ServiceDownError,
)
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.pipeline.photo import PhotoContext
from photopipe_dagster.pipeline.purchase import Order, buy
from photopipe_dagster.pipeline.routes import along
from photopipe_dagster.providers.base import StillRunningError
from photopipe_dagster.runtime.slots import Slot
from photopipe_dagster_tests.support.ledgers import new_ledger

KEY = PhotoKey("A", "0" * 64, "kitchen")
PLACE = KEY.object_key(Stage.MASK)


@dataclass
class Maker:
    """A provider that fails with what it is told to fail with, or makes its name."""

    name: str
    fails: Exception | None = None
    reference: str | None = None
    calls: int = 0
    seen: list[Any] = field(default_factory=list)


class Till:
    """Has a cut-out made along three providers, each attempt as a process of its own."""

    def __init__(self, ledger: Ledger, **own: Any) -> None:
        self.ledger = ledger
        self.settings = Settings(_env_file=None, **own)
        self.job = ledger.intake.submit(KEY, "submit").job
        self.route = [Maker("freepik"), Maker("photoroom"), Maker("removebg")]
        self.objects: str | None = None
        self.runs = 0

    def go(self) -> str:
        self.runs += 1
        services: Any = SimpleNamespace(
            ledger=self.ledger, settings=self.settings, paid_calls=asyncio.Semaphore(2)
        )
        none: Any = None
        slot = Slot(asyncio.Semaphore(1))
        photo = PhotoContext(KEY, self.job, f"run {self.runs}", services, none, slot, none)

        async def attempt(maker: Maker, order: Order) -> str:
            async def call(purchase: Any) -> str:
                maker.calls += 1
                maker.seen.append([hop.next for hop in self.ledger.routes.of_place(PLACE)])
                if maker.reference is not None:
                    await purchase.submitted(maker.reference)
                if maker.fails is not None:
                    raise maker.fails
                return maker.name

            async def keep(made: str) -> str:
                return made

            return (await buy(photo, order, call, keep)).kept

        async def objection(made: str) -> str | None:
            return "it fails the checks" if made == self.objects else None

        def order_of(maker: Maker) -> Order:
            return Order(Stage.MASK, f"{PLACE}#{maker.name}", maker.name, Decimal("0.02"))

        return asyncio.run(along(photo, Stage.MASK, self.route, order_of, attempt, objection))

    @property
    def calls(self) -> list[int]:
        return [maker.calls for maker in self.route]

    @property
    def rows(self) -> list[tuple[str, SpendState]]:
        return [(each.provider, each.state) for each in self.ledger.spending.of_job(self.job.id)]


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(f"sqlite:///{new_ledger(tmp_path)}", breaker_failures=2)
    yield opened
    opened.close()


@pytest.fixture
def till(ledger) -> Till:
    return Till(ledger)


def refused(status: int, *, retryable: bool = False, billed: Billed = Billed.NO) -> ProviderError:
    return ProviderError("no", details={"status": status}, retryable=retryable, billed=billed)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (refused(402), SpendState.VOID),
        (refused(401), SpendState.VOID),
        (refused(503, retryable=True), SpendState.VOID),
        (refused(500, retryable=True, billed=Billed.UNKNOWN), SpendState.UNKNOWN),
        (NetworkError("lost"), SpendState.UNKNOWN),
        (NetworkError("not sent", sent=False), SpendState.VOID),
        (PhotoRejectedError("too small"), SpendState.CHARGED),
        (ProviderError("empty", code=ErrorCode.SEGMENTATION_ERROR), SpendState.VOID),
        (
            ProviderError("empty", code=ErrorCode.SEGMENTATION_ERROR, billed=Billed.YES),
            SpendState.CHARGED,
        ),
    ],
)
def test_the_next_is_asked_where_one_is_down_or_refuses(till: Till, error, state):
    till.route[0].fails = error
    assert till.go() == "photoroom"
    assert (till.calls, till.rows) == (
        [1, 1, 0],
        [("freepik", state), ("photoroom", SpendState.CHARGED)],
    )
    # The hop was in the ledger before the second was called.
    assert till.route[1].seen == [["photoroom"]]
    [hop] = till.ledger.routes.of_place(PLACE)
    assert (hop.job_id, hop.provider, hop.reason) == (till.job.id, "freepik", error.message)


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("slowly"),
        StillRunningError("later", billed=Billed.UNKNOWN),
        ProviderError("odd", retryable=True, code=ErrorCode.SEGMENTATION_ERROR),
        ProviderError("settings"),
        RuntimeError("a fault of ours"),
    ],
)
def test_nobody_else_is_asked_where_it_is_worth_asking_again(till: Till, error):
    till.route[0].fails = error
    with pytest.raises(type(error)):
        till.go()
    assert till.calls == [1, 0, 0]
    assert till.ledger.routes.of_place(PLACE) == []


@pytest.mark.parametrize("error", [refused(503, retryable=True), NetworkError("lost")])
def test_what_is_bought_and_not_fetched_is_not_abandoned(till: Till, error):
    till.route[0].reference = "task 1"
    till.route[0].fails = StillRunningError(
        error.message, billed=Billed.UNKNOWN, details=error.details, code=error.code
    )
    for _ in range(3):
        with pytest.raises(JobError):
            till.go()
    assert till.calls[1:] == [0, 0]
    assert till.rows == [("freepik", SpendState.SUBMITTED)]
    till.route[0].fails = None
    assert till.go() == "freepik"
    assert till.rows == [("freepik", SpendState.CHARGED)]


def test_what_another_job_has_bought_of_this_picture_is_not_abandoned(till: Till):
    """The same photo in another theme: its process died while the cut-out was made."""
    other = PhotoKey(KEY.sku, KEY.sha256, "luxury")
    payer = till.ledger.intake.submit(other, "submit").job
    spend = till.ledger.spending.reserve(
        f"{PLACE}#freepik",
        key=other,
        stage=Stage.MASK,
        provider="freepik",
        amount=Decimal("0.02"),
        owner="dead",
    )
    till.ledger.spending.submitted(spend.id, "task 1", owner="dead")
    till.route[0].fails = NetworkError("lost")
    with pytest.raises(NetworkError):
        till.go()
    assert till.calls == [1, 0, 0]
    till.route[0].fails = None
    assert till.go() == "freepik"
    assert [each.state for each in till.ledger.spending.of_job(payer.id)] == [SpendState.CHARGED]
    assert till.rows == [], "nothing of its own"


def test_what_it_came_to_is_asked_again_after_a_crash_and_never_the_first(till: Till):
    till.route[0].fails = refused(402)
    till.route[1].fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        till.go()
    till.route[0].fails = till.route[1].fails = None
    assert till.go() == "photoroom"
    assert till.calls == [1, 2, 0]
    unknown_or_void = {SpendState.UNKNOWN, SpendState.VOID}
    assert {state for _, state in till.rows[:2]} <= unknown_or_void
    assert till.rows[2] == ("photoroom", SpendState.CHARGED)


def test_an_order_of_a_process_that_died_is_owned_up_to_before_it_is_left(till: Till):
    till.ledger.spending.reserve(
        f"{PLACE}#freepik",
        key=KEY,
        stage=Stage.MASK,
        provider="freepik",
        amount=Decimal("0.02"),
        owner="dead",
    )
    till.route[0].fails = None
    down = ServiceDownError("down", service="freepik.cutouts", code=ErrorCode.API_ERROR)
    till.ledger.spending.reserve = _raises(till, down)
    assert till.go() == "photoroom"
    assert till.rows == [
        ("freepik", SpendState.UNKNOWN),
        ("photoroom", SpendState.CHARGED),
    ]


def _raises(till: Till, error: Exception) -> Any:
    true = till.ledger.spending.reserve

    def reserve(purchase_key: str, **what: Any) -> Any:
        if purchase_key.endswith("#freepik"):
            raise error
        return true(purchase_key, **what)

    return reserve


def test_one_that_is_down_is_not_asked_by_those_that_follow(till: Till, ledger: Ledger):
    till.route[0].fails = refused(503, retryable=True)
    for number in range(4):
        with_hops = [maker.calls for maker in till.route]
        assert till.go() == "photoroom"
        _forget(ledger)
        assert with_hops[1] == number
    assert till.calls == [2, 4, 0], "the breaker opens at the second failure"
    assert [breaker.name for breaker in ledger.breakers.down()] == ["freepik.cutouts"]


def _forget(ledger: Ledger) -> None:
    with ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM route_hops")


def test_a_picture_that_fails_the_checks_is_made_by_the_next_and_the_last_one_stands(till: Till):
    till.objects = "freepik"
    assert till.go() == "photoroom"
    assert [hop.reason for hop in till.ledger.routes.of_place(PLACE)] == ["it fails the checks"]
    till.route, till.objects = till.route[:2], "photoroom"
    assert till.go() == "photoroom"


def test_the_last_one_says_why_it_failed(till: Till):
    for maker in till.route:
        maker.fails = ProviderError(f"not by {maker.name}", code=ErrorCode.SEGMENTATION_ERROR)
    with pytest.raises(ProviderError, match="removebg"):
        till.go()
    assert till.calls == [1, 1, 1]


@pytest.mark.parametrize(("limit", "calls"), [("0.03", [1, 0, 0]), ("0.04", [1, 1, 0])])
def test_a_photo_costs_no_more_than_is_set(ledger: Ledger, limit, calls):
    till = Till(ledger, max_cost_per_photo_usd=limit)
    till.route[0].fails = ProviderError(
        "empty", code=ErrorCode.SEGMENTATION_ERROR, billed=Billed.YES
    )
    if calls[1]:
        assert till.go() == "photoroom"
    else:
        with pytest.raises(ProviderError, match="empty"):
            till.go()
        with pytest.raises(JobError, match="MAX_COST_PER_PHOTO_USD") as caught:
            till.go()
        assert caught.value.code is ErrorCode.COST_LIMIT_ERROR
    assert till.calls == calls


def test_a_route_that_has_changed_begins_anew(till: Till):
    till.route[0].fails = refused(402)
    till.go()
    till.route = [Maker("removebg"), Maker("local")]
    assert till.go() == "removebg"
