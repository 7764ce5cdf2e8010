"""What a provider does with money.

Each purchase goes through the pipeline's own till (`pipeline.purchase.buy`) into a real ledger, and
over a `Wire` to a real service: a test cuts the wire, or ends the process, where it hurts most, and
compares the ledger with the service's books.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import httpx
import pytest
from PIL import Image

from photopipe_dagster.core.errors import ConfigurationError, JobError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.pipeline.acceptance import accept_cutout
from photopipe_dagster.pipeline.photo import PhotoContext
from photopipe_dagster.pipeline.purchase import Order, buy
from photopipe_dagster.pipeline.purchase_keys import background_purchase, mask_purchase
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Cutout,
    Original,
    ProviderContext,
    Purchase,
)
from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.circuit_breaker import BreakerOutcome, judge
from photopipe_dagster.runtime.configuration import secret_values
from photopipe_dagster.runtime.slots import Slot
from photopipe_dagster.sandbox.server import RunningSandbox
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.wire import Cut, KilledError, Wire, uncut
from photopipe_dagster_tests.support.world import photo_of_a_mug

SIZE = (240, 240)
PHOTO = photo_of_a_mug(1)
MUG = (60, 70, 200, 200)
"""Left, top, right and bottom of what is in it, in pixels."""
PHOTO_URL = "https://photos.example/1.jpg?sig=hush"
ROUNDS = 40
"""Requests of one purchase, at most."""

RESERVED, SUBMITTED = SpendState.RESERVED, SpendState.SUBMITTED
CHARGED, VOID, UNKNOWN = SpendState.CHARGED, SpendState.VOID, SpendState.UNKNOWN


class Vendor:
    """A provider's service, as its tests know it.

    Args:
        name: The plug-in's.
        settings: Lead to the service, with a key that it takes.
    """

    by_use: ClassVar[bool] = False
    """Whether it says itself what it takes, and its prices are the most that it may take."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.plugin = PROVIDERS.get(name)
        self.settings = settings

    def bills(self) -> Sequence[Decimal]:
        """USD of all that the service has billed, one after another."""
        return ()

    def expire(self) -> None:
        """Make all results so far impossible to fetch."""
        raise NotImplementedError

    def an_hour_later(self) -> None:
        """Let all that it has made be an hour old."""

    async def sleep(self, seconds: float) -> None:
        """Let the service's time pass."""

    def clock(self) -> float:
        """The service's time, in monotonic seconds."""
        return time.monotonic()


class Simulated(Vendor):
    """A provider's simulator in the sandbox. Its time passes when somebody waits."""

    def __init__(self, name: str, sandbox: RunningSandbox, **other: str) -> None:
        sandbox.state.reset()
        variables = PROVIDERS.get(name).sandbox_variables(sandbox.url)
        own = {variable.lower(): value for variable, value in variables.items()}
        super().__init__(name, Settings(_env_file=None, **own | other))
        self.books: Any = sandbox.state.providers[name]
        self.time = sandbox.state.clock
        self.clock = self.time.timestamp  # type: ignore[method-assign]

    def bills(self) -> Sequence[Decimal]:
        """What is charged."""
        return tuple(charge.usd for charge in self.books.charges)

    async def sleep(self, seconds: float) -> None:
        """Let the sandbox's time pass."""
        self.time.advance(seconds)


class Till:
    """Buys one cut-out or background, again and again, each time as a process of its own."""

    def __init__(self, vendor: Vendor, job: ProviderJob, ledger: Ledger) -> None:
        self.vendor, self.job, self.ledger = vendor, job, ledger
        self.kept: list[SpendState] = []
        """How the ledger stood while the result was being stored."""
        self.listed = Decimal(0)
        """USD that an order is reserved with."""
        self._billed_before = len(vendor.bills())
        self._runs = count(1)
        self.another()

    def another(self) -> None:
        """Go on with another photo, of which nothing is bought."""
        self._key = PhotoKey(f"MUG #{next(self._runs)}", digest(PHOTO), "kitchen")
        self._photo = self.ledger.intake.submit(self._key, "submit").job
        self.vendor.an_hour_later()

    @property
    def rows(self) -> list[SpendState]:
        """How each attempt so far stands in the ledger."""
        return [spend.state for spend in self.ledger.spending.of_job(self._photo.id)]

    @property
    def counted(self) -> Decimal:
        """USD that the ledger counts as spent."""
        return self.ledger.spending.total()

    @property
    def bills(self) -> Sequence[Decimal]:
        """What the service has billed for these attempts."""
        return self.vendor.bills()[self._billed_before :]

    def buy(self, before: Cut = uncut, after: Cut = uncut, *, seed: int = 7) -> Cutout | Background:
        """One attempt, over a wire that is cut like that."""
        return asyncio.run(self._buy(Wire(before, after), seed))

    def fails(self, before: Cut = uncut, after: Cut = uncut) -> JobError:
        """One that fails, and tells no secret by how it does."""
        with pytest.raises(JobError) as caught:
            self.buy(before, after)
        told = f"{caught.value!r} {caught.value.details}"
        assert not [secret for secret in secret_values(self.vendor.settings) if secret in told]
        return caught.value

    def dies(self, before: Cut) -> None:
        """One that its process does not survive."""
        with pytest.raises(KilledError):
            self.buy(before)

    async def _buy(self, wire: Wire, seed: int) -> Cutout | Background:
        vendor = self.vendor
        provider: Any = vendor.plugin.open(
            ProviderContext(vendor.settings, transport=wire, sleep=vendor.sleep, clock=vendor.clock)
        )
        work = PhotoContext(
            key=self._key,
            job=self._photo,
            owner=f"run {next(self._runs)}",
            services=cast(
                "Any",
                SimpleNamespace(
                    ledger=self.ledger, paid_calls=asyncio.Semaphore(1), settings=vendor.settings
                ),
            ),
            leases=cast("Any", None),
            slot=Slot(asyncio.Semaphore(1)),
            product=cast("Any", None),
        )
        call: Callable[[Purchase], Awaitable[Cutout | Background]]
        if self.job == "cutout":
            original = Original(PHOTO, "image/jpeg", *SIZE, signed_url=lambda: PHOTO_URL)
            stage, price = Stage.MASK, provider.cutout_price()
            recipe_id, bought = mask_purchase(self._key, provider, digest(PHOTO))
            call = partial(provider.remove_background, original)
        else:
            request = BackgroundRequest(THEMES["kitchen"], *SIZE, seed)
            stage, price = Stage.BACKGROUND, provider.background_price(request)
            recipe_id, bought = background_purchase(self._key, provider, request)
            call = partial(provider.generate_background, request)
        assert recipe_id in bought
        order = Order(stage, bought, provider.name, price)
        self.listed = price

        async def keep(made: Cutout | Background) -> Cutout | Background:
            self.kept = self.rows
            return made

        try:
            return (await buy(work, order, call, keep)).kept
        finally:
            await provider.aclose()


class PictureContract:
    """What every provider delivers, whatever it takes for it."""

    name: ClassVar[str]
    """The plug-in's."""
    jobs: ClassVar[tuple[ProviderJob, ...]]
    """What it can do."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Ask each test for each job."""
        if "job" in metafunc.fixturenames:
            metafunc.parametrize("job", self.jobs)

    @pytest.fixture
    def vendor(self) -> Vendor:
        """The provider's service, running."""
        raise NotImplementedError

    @pytest.fixture
    def till(self, vendor: Vendor, job: ProviderJob, tmp_path: Path) -> Iterator[Till]:
        """Empty, with a ledger of its own."""
        ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}")
        yield Till(vendor, job, ledger)
        ledger.close()

    def test_it_says_what_it_can_do(self, vendor: Vendor):
        able = vendor.plugin.capabilities
        assert self.jobs == tuple(each for each in ("cutout", "background") if getattr(able, each))
        vendor.plugin.check(vendor.settings)

    def test_a_picture_is_as_it_was_asked_for(self, till: Till):
        made = till.buy()
        assert made.model
        if isinstance(made, Cutout):
            box = accept_cutout(made.picture, SIZE).picture.box
            assert box == pytest.approx(MUG, abs=12)
            return
        assert isinstance(made, Background)
        with Image.open(io.BytesIO(made.data)) as picture:
            assert Image.MIME[str(picture.format)] == made.content_type
            picture.load()
        if till.vendor.plugin.capabilities.seed:
            again = till.buy()
            assert isinstance(again, Background)
            assert again.data == made.data


class FreeContract(PictureContract):
    """What a provider does that takes nothing."""

    def test_what_is_free_leaves_no_row(self, till: Till):
        assert till.vendor.plugin.prices(till.vendor.settings).first == {}
        till.buy()
        assert (till.rows, till.counted) == ([], Decimal(0))


class OrderContract(PictureContract):
    """What every provider does with orders that are refused or lost."""

    orders: ClassVar[Mapping[ProviderJob, str]]
    """The requests that are billed, such as ``POST /cutouts``."""

    required: ClassVar[str] = "_KEY"
    """Part of the name of the variable without which it cannot be opened."""

    @pytest.fixture
    def is_order(self, job: ProviderJob) -> Callable[[httpx.Request], bool]:
        """Whether a request is the one that is billed."""
        return lambda request: f"{request.method} {request.url.path}" == self.orders[job]

    @pytest.mark.parametrize(
        ("status", "state", "verdict"),
        [
            (422, VOID, BreakerOutcome.UP),
            (401, VOID, BreakerOutcome.DOWN),
            (402, VOID, BreakerOutcome.DOWN),
            (429, VOID, BreakerOutcome.UNDECIDED),
            (500, UNKNOWN, BreakerOutcome.DOWN),
            (503, VOID, BreakerOutcome.DOWN),
        ],
    )
    def test_an_order_that_is_refused_is_void(self, till: Till, is_order, status, state, verdict):
        def before(request: httpx.Request) -> httpx.Response | None:
            return httpx.Response(status) if is_order(request) else None

        error = till.fails(before)
        assert (till.rows, judge(error)) == ([state], verdict)
        assert error.retryable is (status in (429, 500, 503))

    def test_an_order_that_never_left_is_void(self, till: Till, is_order):
        error = till.fails(lambda sent: httpx.ConnectError("no") if is_order(sent) else None)
        assert (till.rows, till.bills, error.retryable) == ([VOID], (), True)

    def test_an_order_that_may_have_arrived_is_unknown_and_not_sent_twice(
        self, till: Till, is_order
    ):
        error = till.fails(after=lambda sent: httpx.ReadError("lost") if is_order(sent) else None)
        assert (till.rows, len(till.bills), error.retryable) == ([UNKNOWN], 1, True)
        till.buy()
        assert till.rows == [UNKNOWN, CHARGED]
        assert till.counted == till.listed + till.bills[-1]

    def test_an_order_whose_answer_cannot_be_read_is_unknown(self, till: Till, is_order):
        garbled = httpx.Response(200, text="<html>")
        till.fails(after=lambda sent: garbled if is_order(sent) else None)
        assert (till.rows, len(till.bills)) == ([UNKNOWN], 1)

    def test_its_health_is_told(self, vendor: Vendor):
        def probe(before: Cut = uncut) -> str:
            context = ProviderContext(vendor.settings, transport=Wire(before))
            return asyncio.run(vendor.plugin.probe(context))

        assert probe() == "connected"
        assert probe(lambda _: httpx.Response(401)) == "unauthorized"
        assert probe(lambda _: httpx.Response(400)) == "unreachable"
        assert not vendor.bills()

    def test_what_is_missing_is_named(self, vendor: Vendor):
        bare = Settings(_env_file=None)
        with pytest.raises(ConfigurationError, match=self.required):
            vendor.plugin.check(bare)
        with pytest.raises(ConfigurationError, match=self.required):
            vendor.plugin.open(ProviderContext(bare))


def _is_as_listed(till: Till) -> None:
    """The price is one that is listed; what is billed by use is at most that."""
    prices = till.vendor.plugin.prices(till.vendor.settings)
    listed = prices.of(till.job, till.ledger.database.now())
    assert till.listed in listed
    assert till.counted == till.listed or (till.vendor.by_use and till.counted < till.listed)


class MoneyContract(OrderContract):
    """What a provider does that takes money for orders, and is asked for their results."""

    def test_it_is_reserved_then_submitted_then_charged_to_the_cent(
        self, till: Till, is_order: Callable[[httpx.Request], bool]
    ):
        seen: list[tuple[int, SpendState]] = []
        ordered: list[int] = []

        def before(request: httpx.Request) -> None:
            seen.append((len(till.bills), till.rows[-1]))
            if is_order(request):
                ordered.append(len(seen))

        till.buy(before)
        assert len(ordered) == 1
        # All before the bill is reserved, and nothing is done after it that is not submitted.
        assert seen == [(0, RESERVED)] * ordered[0] + [(1, SUBMITTED)] * (len(seen) - ordered[0])
        assert len(seen) > ordered[0]
        assert (till.kept, till.rows) == ([SUBMITTED], [CHARGED])
        assert till.counted == sum(till.bills) > 0
        _is_as_listed(till)

    def test_a_process_that_dies_before_a_request_pays_once_for_what_it_had_ordered(
        self, till: Till, is_order
    ):
        for number in range(ROUNDS):
            paid, counted = sum(till.bills), till.counted
            ordered = self._dies_at(till, number, is_order)
            if ordered is None:
                return
            made = till.buy()
            assert made.model
            price = till.bills[-1]
            assert sum(till.bills) == paid + price
            # What was not ordered yet may have been, as far as anybody knows.
            assert till.counted == counted + price + (0 if ordered else till.listed)
            assert till.rows[-1] is CHARGED
            till.another()
        pytest.fail("a purchase takes too many requests")

    def _dies_at(self, till: Till, number: int, is_order) -> bool | None:
        """Die before the request of that number; whether the order was out, or there is none."""
        requests: list[httpx.Request] = []

        def before(request: httpx.Request) -> KilledError | None:
            requests.append(request)
            return KilledError() if len(requests) > number else None

        try:
            till.buy(before)
        except KilledError:
            return any(map(is_order, requests[:-1]))
        return None

    def test_a_result_that_is_gone_was_paid_and_is_bought_again(self, till: Till):
        till.dies(lambda _: KilledError() if till.bills else None)
        till.vendor.expire()
        till.buy()
        assert (till.rows, len(till.bills)) == ([CHARGED, CHARGED], 2)
        assert till.counted == sum(till.bills)

    @pytest.mark.parametrize("trouble", [404, 429, 500, httpx.ReadError, httpx.ConnectError])
    def test_trouble_after_the_order_leaves_it_open_and_the_next_try_fetches_it(
        self, till: Till, trouble
    ):
        def before(_: httpx.Request) -> httpx.Response | Exception | None:
            if not till.bills:
                return None
            return httpx.Response(trouble) if isinstance(trouble, int) else trouble("trouble")

        assert till.fails(before).retryable
        assert till.rows == [SUBMITTED]
        till.buy()
        assert (till.rows, len(till.bills)) == ([CHARGED], 1)


class OneShotContract(OrderContract):
    """What a provider does that takes money, and whose answer to an order is all that there is."""

    def test_it_is_reserved_then_charged_to_the_cent(self, till: Till, is_order):
        seen: list[tuple[int, SpendState]] = []

        def before(request: httpx.Request) -> None:
            assert is_order(request)
            seen.append((len(till.bills), till.rows[-1]))

        till.buy(before)
        assert seen == [(0, RESERVED)]
        # What it brought is stored first of all, and only then charged.
        assert (till.kept, till.rows) == ([RESERVED], [CHARGED])
        assert till.counted == sum(till.bills) > 0
        _is_as_listed(till)

    @pytest.mark.parametrize("arrived", [False, True])
    def test_a_process_that_dies_at_its_order_owns_up_to_it(self, till: Till, arrived: bool):
        def die(_: httpx.Request) -> KilledError:
            return KilledError()

        with pytest.raises(KilledError):
            till.buy(uncut if arrived else die, die if arrived else uncut)
        assert len(till.bills) == arrived
        till.buy()
        # Nobody knows whether the first arrived, so it is counted.
        assert till.rows == [UNKNOWN, CHARGED]
        assert till.counted == till.listed + till.bills[-1]
