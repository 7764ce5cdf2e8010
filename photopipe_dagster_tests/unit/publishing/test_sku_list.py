"""The shop's list of SKUs, asked of the simulated shop."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.publishing import sku_list
from photopipe_dagster.publishing.sku_list import SkuRefresh, refresh_skus
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.server import running_sandbox
from photopipe_dagster_tests.support.ledgers import new_ledger

ASKED = "shopify.productVariants"


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox() as sandbox:
        yield sandbox


def test_all_skus_with_barcodes_and_titles_are_listed_once_an_hour(sandbox, tmp_path):
    shop = sandbox.state.shopify
    for number in range(130):
        shop.add_product(f"Mug {number}", [f"MUG-{number}", ""])
    shop.add_product("Another mug", ["MUG-1"])
    pen = shop.products[shop.add_product("Pen", ["PEN"])]
    pen.variants[0].barcode = "4006381333931"
    own = {
        "shopify_store": sandbox.shopify_url,
        "shopify_access_token": sandbox.config.shopify_token,
    }
    settings = Settings(_env_file=None, data_dir=tmp_path, shopify_poll_seconds=0.01, **own)
    new_ledger(tmp_path)
    ledger = Ledger(settings.ledger_url)

    def refresh(**age: timedelta) -> bool:
        return asyncio.run(refresh_skus(settings, ledger, **age))

    def known(*texts: str) -> dict[str, set[str]]:
        return ledger.catalogue.skus_named(texts)

    sandbox.state.clock.advance(60)
    before = sandbox.state.traffic.requests(ASKED)
    assert [refresh(), refresh()] == [True, False]
    assert sandbox.state.traffic.requests(ASKED) - before == 2
    assert known("4006381333931", "MUG-1", "MUG", "") == {
        "4006381333931": {"PEN"},
        "MUG-1": {"MUG-1"},
    }
    assert ledger.catalogue.titles(["MUG-129"]) == {"MUG-129": "Mug 129"}
    assert ledger.catalogue.like("pen", limit=5) == {"PEN": "Pen"}
    del shop.products[pen.id]
    sandbox.state.faults.add(Fault(match=ASKED, kind="status", status=402, times=1))
    assert refresh(max_age=timedelta(0)) is False  # and the list is as it was
    assert known("PEN")
    assert refresh(max_age=timedelta(0)) is True
    assert not known("PEN")
    ledger.close()


def test_a_poll_does_not_wait_for_a_large_shop(monkeypatch, caplog):
    may_end, begun = threading.Event(), []

    async def listing(settings, ledger):
        begun.append(ledger)
        await asyncio.to_thread(may_end.wait, 30)
        raise ConfigurationError("No token.")

    monkeypatch.setattr(sku_list, "refresh_skus", listing)
    refresh = SkuRefresh(seconds=0.01)
    assert [asyncio.run(refresh(None, "ledger")) for _ in range(2)] == [False, False]
    assert begun == ["ledger"]
    may_end.set()
    patient = SkuRefresh(seconds=30)
    assert asyncio.run(patient(None, "ledger")) is True
    assert "could not be listed: No token." in caplog.text
