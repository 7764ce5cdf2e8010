"""What the ledger says after each way that a purchase can end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    JobError,
    NetworkError,
    ProviderError,
    RateLimitError,
    StorageError,
)
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.pipeline.photo import PhotoContext
from photopipe_dagster.pipeline.purchase import Order, buy
from photopipe_dagster.providers.base import Purchase, ResultGoneError, StillRunningError
from photopipe_dagster.runtime.slots import Slot

KEY = PhotoKey("A", "0" * 64, "default")


@dataclass
class Provider:
    """Does what it is told, in order; keeps the references it was resumed with."""

    script: list[Any]
    resumed: list[str | None] = field(default_factory=list)

    async def __call__(self, purchase: Purchase) -> str:
        self.resumed.append(purchase.reference)
        for step in self.script.pop(0):
            if isinstance(step, Exception):
                raise step
            await purchase.submitted(step)
        return "picture"


@pytest.fixture
def work(tmp_path: Path) -> PhotoContext:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.database.migrate()
    job = ledger.intake.submit(KEY, "submit").job
    services: Any = SimpleNamespace(
        ledger=ledger, paid_calls=asyncio.Semaphore(2), settings=Settings(_env_file=None)
    )
    leases: Any = None
    product: Any = None
    return PhotoContext(KEY, job, "me", services, leases, Slot(asyncio.Semaphore(1)), product)


async def purchase(
    work: PhotoContext, provider: Provider, keep: Any = None, price: str = "0.05"
) -> str:
    async def kept(made: str) -> str:
        return f"stored {made}"

    order = Order(Stage.BACKGROUND, "x", "freepik", Decimal(price))
    return (await buy(work, order, provider, keep or kept)).kept


def rows(work: PhotoContext) -> list[tuple[SpendState, bool]]:
    ledger: Ledger = work.services.ledger
    return [(spend.state, spend.discarded) for spend in ledger.spending.of_job(work.job.id)]


async def test_a_purchase_that_works_is_charged_once_it_is_stored(work: PhotoContext):
    provider = Provider([["task"]])

    async def keep(made: str) -> str:
        assert rows(work) == [(SpendState.SUBMITTED, False)]
        return "stored"

    assert await purchase(work, provider, keep) == "stored"
    assert rows(work) == [(SpendState.CHARGED, False)]


async def test_what_is_fetched_after_a_change_of_price_costs_what_was_reserved(work: PhotoContext):
    with pytest.raises(NetworkError):
        await purchase(work, Provider([["task", NetworkError("lost")]]), price="0.05")
    order = Order(Stage.BACKGROUND, "x", "freepik", Decimal("0.07"))

    async def keep(made: str) -> str:
        return made

    bought = await buy(work, order, Provider([[]]), keep)
    assert bought.cost == Decimal("0.05")
    assert rows(work) == [(SpendState.CHARGED, False)]


async def test_what_is_free_leaves_no_row(work: PhotoContext):
    assert await purchase(work, Provider([["task"]]), price="0") == "stored picture"
    assert rows(work) == []


@pytest.mark.parametrize(
    ("error", "state", "discarded"),
    [
        (ProviderError("no", billed=Billed.NO), SpendState.VOID, False),
        (ProviderError("?", billed=Billed.UNKNOWN), SpendState.UNKNOWN, True),
        (ProviderError("nsfw", billed=Billed.YES), SpendState.CHARGED, True),
        (NetworkError("refused", sent=False), SpendState.VOID, False),
        (NetworkError("lost", sent=True), SpendState.UNKNOWN, False),
        (RateLimitError("slow down"), SpendState.VOID, False),
        (ValueError("a defect"), SpendState.UNKNOWN, False),
    ],
)
async def test_how_a_failed_call_is_booked(work: PhotoContext, error, state, discarded):
    with pytest.raises(type(error)):
        await purchase(work, Provider([[error]]))
    assert rows(work) == [(state, discarded)]


@pytest.mark.parametrize(
    "error",
    [
        StillRunningError("later", billed=Billed.UNKNOWN, code=ErrorCode.BACKGROUND_ERROR),
        NetworkError("lost while polling"),
        RateLimitError("slow down"),
        ValueError("a defect after submitting"),
    ],
)
async def test_what_was_submitted_is_resumed_and_paid_once(work: PhotoContext, error):
    provider = Provider([["task", error], []])
    with pytest.raises(type(error)):
        await purchase(work, provider)
    assert rows(work) == [(SpendState.SUBMITTED, False)]
    assert await purchase(work, provider) == "stored picture"
    assert provider.resumed == [None, "task"]
    assert rows(work) == [(SpendState.CHARGED, False)]


async def test_a_result_that_is_gone_is_booked_and_bought_again(work: PhotoContext):
    provider = Provider([["task", NetworkError("lost")], [ResultGoneError()], ["task 2"]])
    with pytest.raises(NetworkError):
        await purchase(work, provider)
    assert await purchase(work, provider) == "stored picture"
    assert provider.resumed == [None, "task", None]
    assert rows(work) == [(SpendState.CHARGED, True), (SpendState.CHARGED, False)]


@pytest.mark.parametrize("said", ["NaN", "-Infinity", "Infinity", "-1", "1e40", "sNaN"])
async def test_a_cost_that_is_none_is_booked_as_it_was_reserved(work: PhotoContext, said):
    async def call(purchase: Purchase) -> str:
        purchase.costs(Decimal(said))
        return "picture"

    assert await purchase(work, call) == "stored picture"  # type: ignore[arg-type]
    [spend] = work.services.ledger.spending.of_job(work.job.id)
    assert (spend.state, spend.amount) == (SpendState.CHARGED, Decimal("0.05"))


async def test_a_result_that_is_gone_is_not_bought_again_above_the_limit(work: PhotoContext):
    work.services.settings = Settings(_env_file=None, max_cost_per_photo_usd="0.09")
    provider = Provider([["task", NetworkError("lost")], [ResultGoneError()], ["task 2"]])
    with pytest.raises(NetworkError):
        await purchase(work, provider)
    with pytest.raises(JobError, match="MAX_COST_PER_PHOTO_USD"):
        await purchase(work, provider)
    assert rows(work) == [(SpendState.CHARGED, True)]


async def test_a_reference_that_cannot_be_kept_does_not_lose_what_was_bought(
    work: PhotoContext, monkeypatch: pytest.MonkeyPatch
):
    """The provider goes on: what it makes is stored, and so found, whatever the ledger can."""
    spending = work.services.ledger.spending

    def locked(*_: object, **__: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    monkeypatch.setattr(spending, "submitted", locked)
    assert await purchase(work, Provider([["task"]])) == "stored picture"
    assert rows(work) == [(SpendState.CHARGED, False)]


async def test_a_store_that_fails_does_not_lose_a_paid_picture(work: PhotoContext):
    async def full(made: str) -> str:
        raise StorageError("disk full")

    provider = Provider([["task"], []])
    with pytest.raises(StorageError):
        await purchase(work, provider, full)
    assert rows(work) == [(SpendState.SUBMITTED, False)]
    assert await purchase(work, provider) == "stored picture"
    assert provider.resumed == [None, "task"]


async def test_a_picture_of_no_use_was_paid_all_the_same(work: PhotoContext):
    async def useless(made: str) -> str:
        raise JobError("empty")

    with pytest.raises(JobError):
        await purchase(work, Provider([["task"]]), useless)
    assert rows(work) == [(SpendState.CHARGED, True)]


async def test_few_paid_calls_are_without_an_answer_at_a_time(work: PhotoContext):
    """So many are bought in vain if the process is killed now."""
    answers = [asyncio.Event() for _ in range(5)]
    called: asyncio.Queue[int] = asyncio.Queue()

    async def buy_another(number: int) -> None:
        async def call(purchase: Purchase) -> str:
            called.put_nowait(number)
            await answers[number].wait()
            await purchase.submitted(f"task {number}")
            await answers[-1].wait()  # from here on it is fetched, anyone who is killed
            return "picture"

        async def keep(made: str) -> str:
            return made

        order = Order(Stage.BACKGROUND, f"x{number}", "freepik", Decimal("0.05"))
        await buy(work, order, call, keep)

    def states() -> list[SpendState]:
        return [state for state, _ in rows(work)]

    buying = [asyncio.create_task(buy_another(number)) for number in range(4)]
    first, _ = await called.get(), await called.get()
    await asyncio.sleep(0.1)
    assert states() == [SpendState.RESERVED] * 2, "the others are not even begun"
    answers[first].set()
    await called.get()
    assert sorted(states()) == [SpendState.RESERVED] * 2 + [SpendState.SUBMITTED]
    for answer in answers:
        answer.set()
    await asyncio.gather(*buying)
    assert states() == [SpendState.CHARGED] * 4


async def test_what_is_fetched_waits_for_no_paid_call(work: PhotoContext):
    with pytest.raises(NetworkError):
        await purchase(work, Provider([["task", NetworkError("lost")]]))
    provider = Provider([[]])

    async def call(bought: Purchase) -> str:
        assert not work.services.paid_calls.locked()
        return await provider(bought)

    work.services.paid_calls = asyncio.Semaphore(1)
    assert await purchase(work, call) == "stored picture"  # type: ignore[arg-type]
