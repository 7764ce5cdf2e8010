"""fal, asked to keep the contract of money."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

import httpx
import pytest

from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster_tests.support.conformance.money import (
    CHARGED,
    UNKNOWN,
    MoneyContract,
    Simulated,
    Vendor,
)
from photopipe_dagster_tests.support.wire import KilledError, uncut


class FalVendor(Simulated):
    def expire(self) -> None:
        for made in self.books.orders.values():
            made.ended = made.ended or self.clock()
        self.time.advance(3601)

    def an_hour_later(self) -> None:
        for made in self.books.orders.values():
            made.sent -= timedelta(hours=1)


class TestFal(MoneyContract):
    name = "fal"
    jobs = ("cutout", "background")
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "cutout": "POST /fal/queue/fal-ai/bria/background/remove",
        "background": "POST /fal/queue/fal-ai/flux/schnell",
    }

    @pytest.fixture
    def vendor(self, sandbox) -> Vendor:
        return FalVendor(self.name, sandbox)

    # An order whose answer is lost is looked for, and found if it has arrived.

    @pytest.mark.parametrize(
        "lost", [httpx.ReadError("lost"), httpx.Response(500), httpx.Response(200, text="<html>")]
    )
    def test_an_order_that_may_have_arrived_is_unknown_and_not_sent_twice(
        self, till, is_order, lost
    ):
        till.buy(after=lambda sent: lost if is_order(sent) else None)
        assert (till.rows, len(till.bills)) == ([CHARGED], 1)

    def test_an_order_whose_answer_cannot_be_read_is_unknown(self, till, is_order):
        def cut(sent: httpx.Request) -> httpx.Response | None:
            return httpx.Response(500) if "by-endpoint" in sent.url.path else None

        garbled = httpx.Response(200, text="<html>")
        till.fails(cut, lambda sent: garbled if is_order(sent) else None)
        assert till.rows == [UNKNOWN]

    @pytest.mark.parametrize("arrived", [False, True])
    def test_the_order_of_a_process_that_died_is_looked_for(self, till, is_order, arrived):
        def die(sent: httpx.Request) -> KilledError | None:
            return KilledError() if is_order(sent) else None

        with pytest.raises(KilledError):
            till.buy(uncut if arrived else die, die if arrived else uncut)
        till.buy()
        # The input of a cut-out has an address that nobody knows any more.
        found = arrived and till.job == "background"
        assert till.rows == ([CHARGED] if found else [UNKNOWN, CHARGED])
