"""Guards: what a failure says of the service, and what is done with that."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from photopipe_dagster.core.errors import (
    ErrorCode,
    JobError,
    NetworkError,
    PhotoRejectedError,
    ProviderError,
    RateLimitError,
    ServiceDownError,
    StorageError,
    TargetError,
)
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.breakers import Admission
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.pipeline.photo import PhotoContext
from photopipe_dagster.pipeline.purchase import Order, buy
from photopipe_dagster.providers.base import Cutout, Purchase, StillRunningError
from photopipe_dagster.providers.freepik.models import MysticAnswer
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.remote.errors import Answers, pending_purchase, unanswered
from photopipe_dagster.runtime.circuit_breaker import (
    BreakerOutcome,
    CircuitBreaker,
    calling_provider,
    judge,
    services_by_stage,
)
from photopipe_dagster.runtime.slots import Slot
from photopipe_dagster.shopify import documents, errors
from photopipe_dagster.shopify.models import UserError

SERVICE = "freepik.cutouts"
ANSWERS = Answers(FreepikSettings(_env_file=None))


def freepik(status: int) -> JobError:
    request = httpx.Request("POST", "https://api.magnific.com/v1/ai/mystic")
    response = httpx.Response(status, request=request)
    return ANSWERS.refusal(response, paid=True, code=ErrorCode.BACKGROUND_ERROR)


def shopify(status: int) -> JobError:
    return errors.status_error(status, documents.load("find_variants"))


def shopify_says(code: str) -> JobError:
    body = {"errors": [{"message": "no", "extensions": {"code": code}}]}
    reply = errors.parse(httpx.Response(200, json=body), documents.load("find_variants"))
    return errors.graphql_error(reply, documents.load("find_variants"))


def resumed(error: JobError) -> JobError:
    with pytest.raises(StillRunningError) as caught, pending_purchase():
        raise error
    return caught.value


def unreadable() -> JobError:
    request = httpx.Request("POST", "https://api.magnific.com/v1/ai/mystic")
    with pytest.raises(ProviderError) as caught:
        ANSWERS.read(httpx.Response(200, text="<html>", request=request), MysticAnswer, paid=True)
    return caught.value


@pytest.mark.parametrize("status", [401, 402, 403, 404, 408, 500, 502, 503, 504])
def test_what_the_next_photo_would_get_too_says_that_it_is_down(status: int):
    for error in (freepik(status), resumed(freepik(status)), shopify(status)):
        assert judge(error) is BreakerOutcome.DOWN


def test_silence_and_riddles_say_that_it_is_down():
    silence = NetworkError("no answer")
    for error in (silence, unanswered(silence, paid=True), resumed(silence), unreadable()):
        assert judge(error) is BreakerOutcome.DOWN
    for code in ("INTERNAL_SERVER_ERROR", "SHOP_INACTIVE", "ACCESS_DENIED"):
        assert judge(shopify_says(code)) is BreakerOutcome.DOWN
        told = (UserError(message="no", code=code),)
        assert judge(errors.user_errors("attach it", told)) is BreakerOutcome.DOWN
    assert judge(TargetError("closed until Monday", service_down=True)) is BreakerOutcome.DOWN


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refusal_of_one_photo_shows_that_it_works(status: int):
    assert judge(freepik(status)) is BreakerOutcome.UP


def test_a_shop_that_has_no_such_product_works():
    assert judge(TargetError("No product has the SKU")) is BreakerOutcome.UP
    assert (
        judge(errors.user_errors("attach it", (UserError(message="too big"),))) is BreakerOutcome.UP
    )


def test_other_failures_say_nothing():
    still_running = StillRunningError("not yet", code=ErrorCode.BACKGROUND_ERROR)
    for error in (
        RateLimitError("slower"),
        freepik(429),
        shopify(429),
        still_running,
        StorageError("S3 is away"),
        PhotoRejectedError("not a photo"),
    ):
        assert judge(error) is BreakerOutcome.UNDECIDED


def test_services_are_those_that_are_configured():
    plain = Settings(_env_file=None)
    assert services_by_stage(plain) == {}
    paid = plain.model_copy(update={"ai_provider": "freepik", "shopify_store": "x.myshopify.com"})
    assert services_by_stage(paid) == {
        Stage.MASK: SERVICE,
        Stage.BACKGROUND: "freepik.backgrounds",
        Stage.SHOPIFY_MEDIA: "shopify",
    }


class Provider:
    """Cuts out as its script says."""

    name = "freepik"

    def __init__(self, *script: BaseException | Cutout) -> None:
        self.script = list(script)
        self.calls = 0

    async def remove_background(self, original: Any, purchase: Purchase) -> Cutout:
        self.calls += 1
        step = self.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step

    async def aclose(self) -> None:
        pass


CUTOUT = Cutout(b"png", "a model")


class Shop:
    """A ledger with a breaker that two failures open, and a clock that stands still."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime.fromisoformat("2026-11-01T12:00:00+00:00")
        url = f"sqlite:///{folder}/ledger.db"
        self.ledger = Ledger(url, clock=lambda: self.now, breaker_failures=2)
        self.ledger.database.migrate()

    async def ask(self, provider: Any) -> Cutout:
        """Let a provider be asked as `buy` does."""
        async with calling_provider(self.ledger.breakers, provider.name, Stage.MASK):
            original: Any = None
            purchase: Any = None
            return await provider.remove_background(original, purchase)

    async def cut_out(self, provider: Any, number: int = 1) -> JobError | None:
        """Let a photo be cut out, and fail its job as the pipeline does."""
        key = PhotoKey("A", f"{number:064x}", "default")
        self.ledger.intake.submit(key, "submit")
        try:
            await self.ask(provider)
        except JobError as error:
            self.ledger.transitions.fail(key.job_id, error)
            return error
        return None


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


async def test_a_service_that_is_down_is_not_called_until_a_probe_succeeds(shop: Shop):
    provider = Provider(freepik(503), freepik(402), freepik(402), CUTOUT, CUTOUT)
    first, second = await shop.cut_out(provider, 1), await shop.cut_out(provider, 2)
    assert (first.blamed_service, second.blamed_service) == (SERVICE, SERVICE)
    refused = await shop.cut_out(provider, 3)
    assert isinstance(refused, ServiceDownError)
    assert (refused.code, refused.retryable, refused.sent) == (ErrorCode.API_ERROR, True, False)
    assert "credits" in refused.message
    assert provider.calls == 2
    shop.now = shop.ledger.breakers.get(SERVICE).retry_at
    assert (await shop.cut_out(provider, 4)).blamed_service == SERVICE  # the probe
    assert isinstance(await shop.cut_out(provider, 5), ServiceDownError)
    assert provider.calls == 3
    shop.now = shop.ledger.breakers.get(SERVICE).retry_at
    assert await shop.cut_out(provider, 6) is None
    assert await shop.cut_out(provider, 7) is None
    assert shop.ledger.breakers.down() == []
    assert shop.ledger.dispatches.waiting_for() == {SERVICE: 5}


async def test_refusals_of_single_photos_in_between_keep_it_closed(shop: Shop):
    provider = Provider(*[freepik(503), freepik(422)] * 3)
    for number in range(6):
        await shop.cut_out(provider, number)
    assert shop.ledger.breakers.down() == []
    assert shop.ledger.dispatches.waiting_for() == {}


async def test_a_probe_that_is_cancelled_or_asked_to_wait_decides_nothing(shop: Shop):
    await shop.cut_out(Provider(freepik(503)), 1)
    await shop.cut_out(Provider(freepik(503)), 2)
    breakers = shop.ledger.breakers
    for probe in (Provider(RateLimitError("slower")), Provider(asyncio.CancelledError())):
        shop.now = breakers.get(SERVICE).retry_at
        with pytest.raises((RateLimitError, asyncio.CancelledError)):
            await shop.ask(probe)
        breaker = breakers.get(SERVICE)
        assert (breaker.is_open, breaker.failures) == (True, 2)
        assert (breaker.retry_at - shop.now).total_seconds() == 60


async def test_what_is_bought_stays_bought_while_the_service_is_down(shop: Shop):
    await shop.cut_out(Provider(freepik(503)), 1)
    await shop.cut_out(Provider(freepik(503)), 2)
    key = PhotoKey("A", "0" * 64, "default")
    services: Any = SimpleNamespace(
        ledger=shop.ledger, paid_calls=asyncio.Semaphore(4), settings=Settings(_env_file=None)
    )
    leases: Any = None
    product: Any = None
    job = shop.ledger.intake.submit(key, "submit").job
    work = PhotoContext(key, job, "me", services, leases, Slot(asyncio.Semaphore(1)), product)
    provider = Provider()

    async def purchase(name: str) -> None:
        async def keep(made: Cutout) -> None: ...

        original: Any = None
        order = Order(Stage.MASK, name, "freepik", Decimal("0.02"))
        call = partial(provider.remove_background, original)
        await buy(work, order, call, keep)

    spending = shop.ledger.spending
    before = spending.reserve(
        "bought", key=key, stage=Stage.MASK, provider="freepik", amount=Decimal("0.02"), owner="me"
    )
    spending.submitted(before.id, "a reference")
    for name in ("bought", "new"):
        with pytest.raises(ServiceDownError):
            await purchase(name)
    states = {spend.purchase_key: spend.state for spend in spending.of_job(job.id)}
    assert states == {"bought": SpendState.SUBMITTED, "new": SpendState.VOID}


async def test_nothing_is_written_while_all_is_well(shop: Shop):
    assert await shop.cut_out(Provider(CUTOUT)) is None
    assert shop.ledger.breakers.get(SERVICE) is None
    assert shop.ledger.breakers.admit(SERVICE) == Admission(shop.now)


async def test_that_a_shop_takes_pictures_is_noted_every_three_minutes(shop: Shop):
    breakers = shop.ledger.breakers
    guard = CircuitBreaker(breakers, "shopify", ErrorCode.SHOPIFY_ERROR)
    assert not guard.has_worked_lately()
    with pytest.raises(TargetError):
        async with guard.call():
            raise TargetError("This product takes no more media.")  # it works, but for this one
    assert not guard.has_worked_lately()
    for seconds, noted in ((0, True), (179, False), (1, True)):
        shop.now += timedelta(seconds=seconds)
        # Of another process: one notes it once a minute at most.
        async with CircuitBreaker(breakers, "shopify", ErrorCode.SHOPIFY_ERROR).call():
            pass
        assert (breakers.get("shopify").last_success_at == shop.now) is noted
    shop.now += timedelta(minutes=15)
    assert guard.has_worked_lately()
    shop.now += timedelta(minutes=1)
    assert not guard.has_worked_lately()
