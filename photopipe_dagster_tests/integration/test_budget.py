"""The budget on the whole path: it stops in time, the rest waits, and continues automatically."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.errors import BUDGET, ErrorCode
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.costs.spending_gate import SpendingGate
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.budget import Limits
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.pipeline.purchase import Order, buy
from photopipe_dagster.pipeline.runner import Pipeline
from photopipe_dagster.providers.base import Purchase
from photopipe_dagster.providers.prices import PossiblePrices
from photopipe_dagster.runtime.providers import possible_prices
from photopipe_dagster_tests.support.dispatching import run, tick
from photopipe_dagster_tests.support.results import THEMES, cache, result
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


def due(shop: World) -> list[PhotoKey]:
    """What a tick of the dispatching sensor would send out."""
    prices = possible_prices(shop.settings, shop.ledger.database.now())
    gate = SpendingGate.of(shop.ledger, prices)
    dispatches = shop.ledger.dispatches.take(photos_per_dispatch=50, limit=100, may_pay=gate.allows)
    return [key for dispatch in dispatches for key in dispatch.keys]


class Counter:
    """A shop of stages that only buy: cut-outs for 0.02 USD, backgrounds for 0.05."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paid: list[Decimal] = []
        self.bought: set[str] = set()
        self.limit(None)

    def limit(self, usd: str | None) -> None:
        limits = Limits(day=None if usd is None else Decimal(usd))
        url = f"sqlite:///{self.folder}/ledger.db"
        self.ledger = Ledger(url, retry_delay_seconds=0, limits=limits)
        self.ledger.database.migrate()

    def due(self) -> list[PhotoKey]:
        prices = PossiblePrices((Decimal("0.02"),), (Decimal("0.05"),))
        may_pay = SpendingGate.of(self.ledger, prices).allows
        dispatches = self.ledger.dispatches.take(photos_per_dispatch=50, limit=99, may_pay=may_pay)
        return [key for dispatch in dispatches for key in dispatch.keys]

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Any]:
        settings = SimpleNamespace(
            photos_in_flight=8, job_lease_seconds=30, max_cost_per_photo_usd=None
        )
        yield SimpleNamespace(
            ledger=self.ledger,
            settings=settings,
            target=None,
            canary=None,
            store=None,
            cache=cache(),
            themes=THEMES,
            paid_calls=asyncio.Semaphore(4),
        )

    async def stage(self, stage: Stage, work: PhotoContext, *inputs: object) -> StageResult[Any]:
        price = {Stage.MASK: "0.02", Stage.BACKGROUND: "0.05"}.get(stage, "0")
        name = f"{stage}/{work.key}"

        async def call(purchase: Purchase) -> None:
            self.paid.append(Decimal(price))
            await purchase.submitted(name)

        async def keep(made: None) -> None:
            self.bought.add(name)

        if price != "0" and name not in self.bought:
            await buy(work, Order(stage, name, "freepik", Decimal(price)), call, keep)
        return result(work.key, stage, object_key=name)

    def run(self, keys: list[PhotoKey], owner: str = "me") -> None:
        stages = {stage: partial(self.stage, stage) for stage in STAGES}
        list(Pipeline(self.services, stages, owner=owner, run_id=owner).run(keys, STAGES))

    def run_at_once(self, keys: list[PhotoKey]) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.run, (keys[::2], keys[1::2]), ("one", "two")))


def test_forty_photos_stop_at_the_limit_wait_and_finish_when_it_is_raised(tmp_path: Path):
    shop = Counter(tmp_path)
    shop.limit("1.00")
    keys = [PhotoKey(f"S{number}", f"{number:064x}", "default") for number in range(40)]
    for key in keys:
        shop.ledger.intake.submit(key, "submit")
    assert set(shop.due()) == set(keys)
    shop.run_at_once(keys)
    assert Decimal("0.95") < sum(shop.paid) <= Decimal("1.00")
    waiting = shop.ledger.jobs.find(JobQuery((JobStatus.FAILED,)), limit=99)
    assert len(waiting) >= 40 - 14
    assert {job.error_code for job in waiting} == {ErrorCode.COST_LIMIT_ERROR}
    assert {job.retry_count for job in waiting} == {0}
    while some := shop.due():  # at most the last cents
        assert len(some) == 1
        shop.run(some)
    assert sum(shop.paid) <= Decimal("1.00")

    shop.limit("1.20")
    some = shop.due()
    assert 1 <= len(some) <= 5
    assert shop.due() == []  # those on their way have the rest
    shop.run_at_once(some)
    assert Decimal("1.00") < sum(shop.paid) <= Decimal("1.20")

    shop.limit(None)
    shop.run_at_once(shop.due())
    assert shop.ledger.jobs.stats().by_status[JobStatus.DONE] == 40
    assert sum(shop.paid) == shop.ledger.spending.total() == 40 * Decimal("0.07")


def test_over_the_stand_ins_photos_stop_at_the_limit_and_finish_when_it_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with world(tmp_path, monkeypatch, COST_LIMIT_DAILY_USD="0.50") as shop:
        shop.stock("A")
        keys = [shop.announce("A", photo_of_a_mug(number)) for number in range(16)]

        def go() -> int:
            requests = tick(shop.instance, PhotopipeResource())
            for request in requests:
                run(shop.instance, request)
            return len(requests)

        def billed() -> Decimal:
            return sum((charge.usd for charge in shop.charges()), Decimal(0))

        while go():
            assert billed() <= Decimal("0.50")
        assert billed() > Decimal("0.45")
        waiting = shop.ledger.jobs.find(JobQuery((JobStatus.FAILED,)), limit=99)
        assert len(waiting) >= 16 - 7
        assert {job.error_code for job in waiting} == {ErrorCode.COST_LIMIT_ERROR}
        assert shop.ledger.budget.day().spent == billed()
        assert shop.ledger.dispatches.waiting_for()[BUDGET] == len(waiting)

        monkeypatch.setenv("COST_LIMIT_DAILY_USD", "3.00")
        while go():
            assert billed() <= Decimal("3.00")
        done = [shop.ledger.jobs.require(key.job_id) for key in keys]
        assert {(job.status, job.retry_count) for job in done} == {(JobStatus.DONE, 0)}
        assert billed() == shop.ledger.spending.total() == 16 * Decimal("0.07")
        assert shop.media() == 16


def test_the_estimate_is_what_is_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch, COST_LIMIT_DAILY_USD="1.00") as shop:
        files = []
        for number in range(3):
            files.append(tmp_path / f"{number}.jpg")
            files[-1].write_bytes(photo_of_a_mug(number))
        shop.stock("A")
        shas = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
        bought = PhotoKey("A", shas[0], "luxury")
        shop.announce("A", files[0].read_bytes(), "luxury")
        shop.materialize([bought])
        before = sum(charge.usd for charge in shop.charges())

        arguments = ["submit", *map(str, files), "--sku", "A"]
        for theme in ("default", "luxury"):
            arguments += ["--theme", theme]
        said = CliRunner().invoke(app, [*arguments, "--estimate"])
        assert said.exit_code == 0, said.output
        # 5 backgrounds and 2 cut-outs: one photo has its cut-out, and is done in one theme.
        assert "6 pictures, 0.29 USD" in said.output
        assert "0.93 left" in said.output
        assert shop.ledger.jobs.stats().total == 1

        assert "0.29 USD" in CliRunner().invoke(app, arguments).output
        keys = due(shop)
        assert len(keys) == 5
        assert shop.materialize(keys).success
        assert sum(charge.usd for charge in shop.charges()) - before == Decimal("0.29")

        shown = json.loads(CliRunner().invoke(app, ["costs", "--json"]).output)
        assert Decimal(shown["day"]["spent"]) == Decimal("0.36")
        assert Decimal(shown["day"]["left"]) == Decimal("0.64")
        assert shown["month"]["limit"] is None
        assert (Decimal(shown["unknown"]), Decimal(shown["discarded"])) == (0, 0)
        assert "0.36 USD of 1.00" in CliRunner().invoke(app, ["costs"]).output
