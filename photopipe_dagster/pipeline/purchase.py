"""Buying from a provider: the ledger knows before money is spent, and what came of it.

The order of steps is what keeps a crash from paying twice:

1. reserve      a row says that a call is about to be made
2. call         the provider says `submitted` with a reference before it waits for anything
3. keep         the result is stored under its key, with its recipe
4. charged      only now: until here, a crash finds the reference and fetches the same result
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    JobError,
    NetworkError,
    ProviderError,
    RateLimitError,
    StorageError,
)
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.ledger.database import UNAVAILABLE
from photopipe_dagster.ledger.money.spending import (
    COUNTED,
    DIED,
    Purchased,
    Spend,
    Spending,
    SpendState,
)
from photopipe_dagster.providers.base import Purchase, ResultGoneError, StillRunningError
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.circuit_breaker import calling_provider
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.runtime.slots import Slot

_log = logging.getLogger(__name__)

Made = TypeVar("Made")
Stored = TypeVar("Stored")

MILLIONTH: Final = Decimal("0.000001")

_MOST_USD: Final = 1_000_000
"""That one picture costs, if it is said in earnest."""

PAID_TRIES: Final = 2
"""How often one thing is bought for a photo without a person's word, where what comes is of no
use."""

_SETTLED = {
    Billed.NO: SpendState.VOID,
    Billed.YES: SpendState.CHARGED,
    Billed.UNKNOWN: SpendState.UNKNOWN,
}


class Buyer(Protocol):
    """What something is bought for: a photo, or a scene."""

    @property
    def key(self) -> PhotoKey:
        """Whose it is in the ledger."""
        ...

    @property
    def owner(self) -> str:
        """Holds leases and pays: a run, or a command."""
        ...

    @property
    def services(self) -> Services:
        """What it is bought with."""
        ...

    @property
    def slot(self) -> Slot:
        """Its place among those that are worked on."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What is bought, from whom, for how much.

    Args:
        stage: MASK or BACKGROUND.
        purchase_key: Object key and recipe of what is bought.
        provider: Its name.
        price: USD; nothing is recorded for what is free.
    """

    stage: Stage
    purchase_key: str
    provider: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Bought(Generic[Stored]):
    """What was bought, and what it cost.

    Args:
        cost: USD, as it was reserved, or as the provider says: the price may have changed since.
    """

    kept: Stored
    cost: Decimal


class _Free:
    """A purchase that costs nothing: nothing to keep, nothing to resume."""

    reference: str | None = None
    lost_since: datetime | None = None

    def __init__(self, slot: Slot) -> None:
        self.released = slot.released

    def costs(self, usd: Decimal) -> None:
        """It is free by its price: nothing is booked."""

    async def submitted(self, reference: str) -> None:
        """Nothing was paid, so nothing needs to be found again."""


class _Paid:
    """A purchase with a row in the ledger behind it.

    Args:
        slot: The photo's among those that the run works on.
        call: Its place among the paid calls without an answer, until there is a reference.
        lost: Whether an earlier process died while it ordered this.
    """

    def __init__(
        self, spending: Spending, spend: Spend, slot: Slot, call: Slot, *, lost: bool
    ) -> None:
        self.cost: Decimal | None = None
        self.lost_since = spend.created_at if lost else None
        self._spending = spending
        self._call = call
        self.spend = spend
        self.reference = spend.reference
        self.released = slot.released
        if self.reference is not None:
            call.release()

    def costs(self, usd: Decimal) -> None:
        """Book this instead of the price: to a millionth, as the ledger keeps it.

        What is no amount is not booked: services say it in headers, and one that is wrong must not
        keep what was paid from being settled, or give back budget.
        """
        if usd.is_finite() and 0 <= usd <= _MOST_USD:
            self.cost = usd.quantize(MILLIONTH, ROUND_HALF_UP)
        else:
            _log.warning("A purchase is said to cost %.20s USD: its price is booked", usd)

    async def submitted(self, reference: str) -> None:
        """Keep the reference for good before the provider goes on.

        Where the ledger cannot be written, the provider goes on anyway: it is paid, and
        what comes of it can still be stored, where the next try finds it.
        """
        self.reference = reference
        try:
            await asyncio.to_thread(
                self._spending.submitted, self.spend.id, reference, owner=self.spend.owner
            )
        except UNAVAILABLE:
            _log.exception("The reference of purchase %s could not be kept", self.spend.id)
        self._call.release()


async def exceeds_limit(buyer: Buyer, order: Order) -> JobError | None:
    """The error that a purchase is which would take a photo above MAX_COST_PER_PHOTO_USD.

    What was ordered already is paid, and fetched whatever the limit.
    """
    limit = buyer.services.settings.max_cost_per_photo_usd
    if limit is None or not order.price:
        return None
    spends = await asyncio.to_thread(buyer.services.ledger.spending.of_job, buyer.key.job_id)
    if any(each.purchase_key == order.purchase_key and each.reference for each in spends):
        return None
    spent = sum((each.amount for each in spends if each.state in COUNTED), Decimal(0))
    if spent + order.price <= limit:
        return None
    return JobError(
        f"This photo has cost {spent} USD, and {order.provider} takes {order.price} USD more: "
        f"that is above MAX_COST_PER_PHOTO_USD, {limit}. Raise it, then `photopipe retry JOB`.",
        code=ErrorCode.COST_LIMIT_ERROR,
        retryable=False,
    )


async def buy(
    buyer: Buyer,
    order: Order,
    call: Callable[[Purchase], Awaitable[Made]],
    keep: Callable[[Made], Awaitable[Stored]],
) -> Bought[Stored]:
    """Buy one thing, or fetch it if an earlier process had bought it.

    The caller holds the lease on what is bought.

    Args:
        call: Asks the provider.
        keep: Stores what came.

    Returns:
        What `keep` returned.

    Raises:
        ServiceDownError: The provider is down, and was not asked.
        JobError: As `call` and `keep` raise; the ledger has been told.
    """
    if order.price == 0:
        free = _Free(buyer.slot)
        return Bought(await _delivered(buyer, order, partial(call, free), keep), order.price)
    while True:
        over = await exceeds_limit(buyer, order)
        if over is not None:
            raise over
        with suppress(ResultGoneError):
            return await _buy_once(buyer, order, call, keep)


async def _buy_once(
    buyer: Buyer,
    order: Order,
    call: Callable[[Purchase], Awaitable[Made]],
    keep: Callable[[Made], Awaitable[Stored]],
) -> Bought[Stored]:
    """`buy`; raises `ResultGoneError`, of which the ledger knows, where a new try may buy again."""
    spending = buyer.services.ledger.spending
    # Before it is reserved: if the process is killed, only what is reserved counts as lost.
    async with Slot(buyer.services.paid_calls) as unanswered:
        lost: Spend | None = None
        if PROVIDERS.get(order.provider).capabilities.finds_lost:
            take_up = spending.take_up_lost
            lost = await asyncio.to_thread(take_up, order.purchase_key, buyer.owner)
        spend = lost
        if spend is None:
            what = _what(buyer, order, order.price)
            spend = await asyncio.to_thread(spending.reserve, order.purchase_key, **what)
        purchase = _Paid(spending, spend, buyer.slot, unanswered, lost=lost is not None)
        try:
            kept = await _delivered(buyer, order, partial(call, purchase), keep)
        except ResultGoneError:
            ordered = purchase.reference is not None
            await asyncio.to_thread(
                spending.settle,
                spend.id,
                SpendState.CHARGED if ordered else SpendState.UNKNOWN,
                "paid, but the result could no longer be fetched" if ordered else DIED,
                discarded=ordered,
                owner=spend.owner,
                amount=purchase.cost,
            )
            raise
        except Exception as error:
            await _settle_failed(spending, purchase, error)
            if isinstance(error, ProviderError) and error.retryable:
                await _bound_tries(spending, buyer.key.job_id, order, error)
            raise
        await asyncio.to_thread(
            spending.settle,
            spend.id,
            SpendState.CHARGED,
            owner=spend.owner,
            amount=purchase.cost,
        )
        if spend.job_id == buyer.key.job_id:
            return Bought(kept, spend.amount if purchase.cost is None else purchase.cost)
        # Another photo of the same bytes had paid it, and its process died.
        await note_shared(buyer, order, payer=spend.job_id)
        return Bought(kept, Decimal(0))


def _what(buyer: Buyer, order: Order, amount: Decimal) -> Purchased:
    return {
        "key": buyer.key,
        "stage": order.stage,
        "provider": order.provider,
        "amount": amount,
        "owner": buyer.owner,
    }


async def note_shared(buyer: Buyer, order: Order, *, payer: str) -> None:
    """Write down that a photo shares what another job has paid."""
    if payer != buyer.key.job_id:
        share = buyer.services.ledger.spending.share
        what = _what(buyer, order, Decimal(0))
        await asyncio.to_thread(share, order.purchase_key, payer, **what)


async def _delivered(
    buyer: Buyer,
    order: Order,
    call: Callable[[], Awaitable[Made]],
    keep: Callable[[Made], Awaitable[Stored]],
) -> Stored:
    # What is unusable counts for the provider's breaker as what does not come at all.
    async with calling_provider(buyer.services.ledger.breakers, order.provider, order.stage):
        return await keep(await call())


async def _bound_tries(spending: Spending, job_id: str, order: Order, error: ProviderError) -> None:
    """Leave it to a person where the same was bought in vain a second time."""
    spends = await asyncio.to_thread(spending.of_job, job_id)
    vain = [each for each in spends if each.purchase_key == order.purchase_key and each.discarded]
    if len(vain) >= PAID_TRIES:
        error.retryable = False
        error.message += (
            f" It was paid {len(vain)} times for this photo: `photopipe retry JOB` buys it again."
        )


async def book_found(buyer: Buyer, order: Order) -> None:
    """Book as charged what is found in the store, if the process that bought it died too early.

    The caller holds the lease on what is bought.
    """
    if order.price:
        await asyncio.to_thread(buyer.services.ledger.spending.kept, order.purchase_key)


async def _settle_failed(spending: Spending, purchase: _Paid, error: Exception) -> None:
    """Record what a failed purchase cost. With a reference it stays open, to be resumed."""
    state, discarded = SpendState.UNKNOWN, False
    match error:
        case StillRunningError() | StorageError() if purchase.reference is not None:
            return
        case ProviderError():
            state, discarded = _SETTLED[error.billed], error.billed is not Billed.NO
        case NetworkError() | RateLimitError() if purchase.reference is not None:
            return
        case NetworkError():
            state = SpendState.UNKNOWN if error.sent else SpendState.VOID
        case RateLimitError():
            state = SpendState.VOID
        case JobError():
            # The provider delivered; what came could not be stored, or is unusable.
            state, discarded = SpendState.CHARGED, True
        case _ if purchase.reference is not None:
            return
    await asyncio.to_thread(
        spending.settle,
        purchase.spend.id,
        state,
        str(error) if state is not SpendState.CHARGED else None,
        discarded=discarded,
        owner=purchase.spend.owner,
        amount=purchase.cost if state is SpendState.CHARGED else None,
    )
