"""Scenes from a provider are bought once, at whatever moment the command is killed."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.pipeline.scenes import SceneWish, make_scenes, price_of
from photopipe_dagster.providers.base import Background, BackgroundRequest, Purchase
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.signing import UrlSigner
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.ledgers import new_ledger

PRICE = Decimal("0.05")


class KilledError(BaseException):
    """The process is gone."""


class Vendor:
    """A provider that gives a reference before it delivers. It counts what is ordered."""

    name = "freepik"

    def __init__(self) -> None:
        self.orders = 0

    def background_parameters(self, request: BackgroundRequest) -> dict[str, str]:
        return {"model": "m"}

    def background_price(self, request: BackgroundRequest) -> Decimal:
        return PRICE

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        if purchase.reference is None:
            self.orders += 1
            await purchase.submitted(f"task-{self.orders}")
        noise = np.random.default_rng(request.seed).integers(90, 200, (700, 900, 3), np.uint8)
        return Background(encode_jpeg(noise), "image/jpeg", "m")


class Shop:
    """Services of a command that may be killed at its nth step: a write to ledger or store."""

    def __init__(self, folder: Path, vendor: Vendor, killed_at: int | None = None) -> None:
        self.ledger = Ledger(f"sqlite:///{new_ledger(folder)}")
        self.store = LocalStore(folder / "objects", "http://localhost", UrlSigner(b"k" * 32))
        self.steps, self.killed_at = itertools.count(1), killed_at
        self.died_in = ""
        for holder, name in (
            (self.ledger.spending, "reserve"),
            (self.ledger.spending, "submitted"),
            (self.ledger.spending, "settle"),
            (self.ledger.scenes, "add"),
            (self.store, "put"),
        ):
            self._watch(holder, name)
        self.services: Any = SimpleNamespace(
            ledger=self.ledger,
            store=self.store,
            settings=SimpleNamespace(job_lease_seconds=30, max_cost_per_photo_usd=None),
            background_route=lambda theme: (vendor,),
            paid_calls=asyncio.Semaphore(4),
            decode_slots=asyncio.Semaphore(4),
        )

    def _watch(self, holder: Any, name: str) -> None:
        true = getattr(holder, name)

        def watched(*values: Any, **named: Any) -> Any:
            if next(self.steps) == self.killed_at:
                self.died_in = f"before {name}"
                raise KilledError
            done = true(*values, **named)
            if next(self.steps) == self.killed_at:
                self.died_in = f"after {name}"
                raise KilledError
            return done

        setattr(holder, name, watched)

    def make(self, count: int = 1) -> list[str]:
        async def all_of_them() -> list[str]:
            wish = SceneWish("table", THEMES["kitchen"], 900, 700, count)
            made = make_scenes(self.services, wish, by="me", owner="me")
            return [scene.label async for scene in made]

        return asyncio.run(all_of_them())


def test_several_are_drafts_and_the_same_wish_buys_nothing_more(tmp_path: Path):
    vendor = Vendor()
    shop = Shop(tmp_path, vendor)
    wish = SceneWish("table", THEMES["kitchen"], 900, 700, 3)
    assert price_of(shop.services, wish) == 3 * PRICE
    assert shop.make(3) == ["table@1", "table@2", "table@3"]
    assert Shop(tmp_path, vendor).make(3) == ["table@1", "table@2", "table@3"]
    assert vendor.orders == 3
    assert shop.ledger.spending.total() == 3 * PRICE
    assert {each["theme"] for each in shop.ledger.spending.by("theme")} == {"scene"}
    history = shop.ledger.scenes.history("table")
    assert {scene.picture.cost for scene in history} == {PRICE}


@pytest.mark.parametrize("moment", range(1, 15))
def test_killed_at_any_moment_it_is_bought_once(tmp_path: Path, moment: int):
    vendor = Vendor()
    first = Shop(tmp_path, vendor, killed_at=moment)
    try:
        first.make()
    except KilledError:
        first.ledger.leases.release("me")
    else:
        assert moment > 12
    after = Shop(tmp_path, vendor)
    assert len(after.make()) == 1
    assert len(after.ledger.scenes.history("table")) == 1
    rows = after.ledger.spending.of_recipe(after.ledger.spending.by("recipe")[0]["recipe"])
    if first.died_in in ("before submitted", "after reserve"):
        # Nobody knows whether that call has arrived: it is counted, as for photos.
        assert sorted(row.state for row in rows) == [SpendState.CHARGED, SpendState.UNKNOWN]
        assert vendor.orders <= 2
        return
    assert [row.state for row in rows] == [SpendState.CHARGED]
    assert vendor.orders == 1
    assert after.ledger.spending.total() == PRICE
