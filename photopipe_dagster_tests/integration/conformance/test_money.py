"""All providers, asked to keep the contract of money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster.sandbox.server import RunningSandbox
from photopipe_dagster_tests.support.conformance.money import (
    CHARGED,
    UNKNOWN,
    FreeContract,
    MoneyContract,
    OneShotContract,
    Simulated,
    Vendor,
)
from photopipe_dagster_tests.support.plugins.services import KEY, Studio
from photopipe_dagster_tests.support.wire import KilledError, uncut


class AcmeVendor(Vendor):
    """Acme's studio."""

    def __init__(self, studio: Studio, url: str) -> None:
        own = {"acme_cutouts_url": url, "acme_cutouts_key": KEY}
        super().__init__("acme-cutouts", Settings(_env_file=None, **own))
        self.bills = lambda: tuple(studio.bills)
        self.expire = studio.expire


class TestAcmeCutouts(MoneyContract):
    name = "acme-cutouts"
    jobs = ("cutout", "background")
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "cutout": "POST /cutouts",
        "background": "POST /backgrounds",
    }

    @pytest.fixture
    def vendor(self, outside: Path) -> Iterator[Vendor]:
        studio = Studio()
        with studio.running() as url:
            yield AcmeVendor(studio, url)


class FreepikVendor(Vendor):
    """The simulator of Freepik. Its time passes when somebody waits."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        own = {
            "freepik_api_url": sandbox.freepik_url,
            "freepik_api_key": sandbox.config.freepik_key,
        }
        super().__init__(
            "freepik", Settings(_env_file=None, **own, freepik_requests_per_minute=60_000)
        )
        self._state = sandbox.state
        self.clock = sandbox.state.clock.timestamp

    def bills(self) -> tuple[Decimal, ...]:
        return tuple(charge.usd for charge in self._state.freepik.charges)

    def expire(self) -> None:
        self._state.freepik.cutouts.clear()
        self._state.freepik.tasks.clear()

    async def sleep(self, seconds: float) -> None:
        self._state.clock.advance(seconds)


class TestFreepik(MoneyContract):
    name = "freepik"
    jobs = ("cutout", "background")
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "cutout": "POST /freepik/v1/ai/beta/remove-background",
        "background": "POST /freepik/v1/ai/mystic",
    }

    @pytest.fixture
    def vendor(self, sandbox: RunningSandbox) -> Vendor:
        sandbox.state.reset()
        return FreepikVendor(sandbox)


class TestHttp(OneShotContract):
    name = "http"
    jobs = ("cutout",)
    orders: ClassVar[Mapping[ProviderJob, str]] = {"cutout": "POST /rembg/api/remove"}
    required = "HTTP_CUTOUT_URL"

    @pytest.fixture
    def vendor(self, sandbox: RunningSandbox) -> Vendor:
        return Simulated("http", sandbox)


class ReplicateVendor(Simulated):
    """The simulator of Replicate."""

    def expire(self) -> None:
        for made in self.books.predictions.values():
            made.ended = made.ended or self.clock()
            made.status = made.ending
        self.time.advance(3601)

    def an_hour_later(self) -> None:
        for made in self.books.predictions.values():
            made.created -= timedelta(hours=1)


class TestReplicate(MoneyContract):
    name = "replicate"
    jobs = ("cutout", "background")
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "cutout": "POST /replicate/v1/predictions",
        "background": "POST /replicate/v1/models/black-forest-labs/flux-schnell/predictions",
    }
    required = "REPLICATE_API_TOKEN"

    @pytest.fixture
    def vendor(self, sandbox: RunningSandbox) -> Vendor:
        return ReplicateVendor("replicate", sandbox)

    # An order whose answer is lost is looked for, and found if it has arrived.

    @pytest.mark.parametrize("lost", [httpx.ReadError("lost"), httpx.Response(500)])
    def test_an_order_that_may_have_arrived_is_unknown_and_not_sent_twice(
        self, till, is_order, lost
    ):
        till.buy(after=lambda sent: lost if is_order(sent) else None)
        assert (till.rows, len(till.bills)) == ([CHARGED], 1)

    @pytest.mark.parametrize("arrived", [False, True])
    def test_an_order_that_cannot_be_looked_for_is_unknown(self, till, is_order, arrived):
        def cut(sent: httpx.Request) -> httpx.Response | Exception | None:
            if sent.url.path.endswith("/v1/predictions") and sent.method == "GET":
                return httpx.Response(500)
            return httpx.ReadError("lost") if is_order(sent) and not arrived else None

        def lose(sent: httpx.Request) -> Exception | None:
            return httpx.ReadError("lost") if is_order(sent) and arrived else None

        error = till.fails(cut, lose)
        assert (till.rows, len(till.bills)) == ([UNKNOWN], int(arrived))
        assert error.retryable

    @pytest.mark.parametrize("arrived", [False, True])
    def test_the_order_of_a_process_that_died_is_looked_for(self, till, is_order, arrived):
        def die(sent: httpx.Request) -> KilledError | None:
            return KilledError() if is_order(sent) else None

        with pytest.raises(KilledError):
            till.buy(uncut if arrived else die, die if arrived else uncut)
        till.buy()
        assert len(till.bills) == 1
        assert till.rows == [CHARGED] if arrived else [UNKNOWN, CHARGED]
        # Its own, and not the one of the photo before.
        till.another()
        with pytest.raises(KilledError):
            till.buy(die)
        till.buy()
        assert (till.rows, len(till.bills)) == ([UNKNOWN, CHARGED], 2)

    def test_an_order_whose_answer_cannot_be_read_is_unknown(self, till, is_order):
        garbled = httpx.Response(200, text="<html>")
        till.buy(after=lambda sent: garbled if is_order(sent) else None)
        assert (till.rows, len(till.bills)) == ([CHARGED], 1)


class TestFreeHttp(FreeContract):
    name = "http"
    jobs = ("cutout",)

    @pytest.fixture
    def vendor(self, sandbox: RunningSandbox) -> Vendor:
        return Simulated("http", sandbox, http_cutout_price_usd="0")


class TestLocal(FreeContract):
    name = "local"
    jobs = ("cutout", "background")

    @pytest.fixture
    def vendor(self, model_path: Path) -> Vendor:
        return Vendor("local", Settings(_env_file=None, cutout_model_path=model_path))


class TestWhite(FreeContract):
    name = "white"
    jobs = ("background",)

    @pytest.fixture
    def vendor(self) -> Vendor:
        return Vendor("white", Settings(_env_file=None))
