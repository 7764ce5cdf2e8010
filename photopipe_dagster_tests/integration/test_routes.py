"""A provider that is down for an hour, with a second one in the route and without.

Real ticks of the sensor, real runs, and simulators with books of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster_tests.support.dispatching import move_clock, run, tick
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

PHOTOS = 4


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    own = {"BREAKER_FAILURES": "3", "PHOTOS_IN_FLIGHT": "1", "QUALITY_GATES": "off"}
    route = {"CUTOUT_ROUTE": "freepik,photoroom", "BACKGROUND_ROUTE": "freepik,stability"}
    with world(tmp_path, monkeypatch, **own, **route) as shop:
        for name in ("photoroom", "stability"):
            for variable, value in PROVIDERS.get(name).sandbox_variables(shop.sandbox.url).items():
                monkeypatch.setenv(variable, value)
        yield shop


def test_photos_go_round_a_provider_that_is_down_and_nothing_is_bought_twice(shop: World):
    shop.sandbox.state.faults.add(Fault(match="freepik.*", kind="status", status=503, times=None))
    shop.stock(*(f"P{number}" for number in range(PHOTOS)))
    keys = [shop.announce(f"P{number}", photo_of_a_mug(number)) for number in range(PHOTOS)]
    for request in tick(shop.instance, PhotopipeResource()):
        run(shop.instance, request)
    done = shop.ledger.jobs.find(JobQuery((JobStatus.DONE,)), limit=99)
    assert len(done) == PHOTOS, "at once, and not when it is up again"
    assert {breaker.name for breaker in shop.ledger.breakers.down()} == {
        "freepik.cutouts",
        "freepik.backgrounds",
    }

    # Each provider's bill is the ledger's, to the cent.
    providers = shop.sandbox.state.providers
    billed = {name: books.spent_usd for name, books in providers.items() if books.spent_usd}
    assert billed == {"photoroom": PHOTOS * Decimal("0.02"), "stability": PHOTOS * Decimal("0.03")}
    assert {row["provider"]: row["amount"] for row in shop.ledger.spending.by("provider")} == billed
    assert Counter(len(books.charges) for books in providers.values())[PHOTOS] == 2

    told = CliRunner().invoke(app, ["route", "explain", keys[0].job_id]).output
    assert "Photoroom" in told
    assert "left" in told

    # An hour later it is up: it is asked first again.
    shop.sandbox.state.faults.clear()
    move_clock(shop.ledger, 3600)
    shop.stock("LATE")
    shop.announce("LATE", photo_of_a_mug(99))
    for request in tick(shop.instance, PhotopipeResource()):
        run(shop.instance, request)
    assert len(providers["freepik"].charges) == 2
    assert shop.ledger.breakers.down() == []
