"""What pages show is added up beside the requests, whatever the database does."""

import asyncio
import logging
import threading

import pytest
from sqlalchemy.exc import OperationalError

from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.warm_up import warm_up_rollups


class Overview:
    """Counts how often it is prepared; fails the first time."""

    def __init__(self, failure: Exception):
        self.prepared = 0
        self.failure = failure
        self.often_enough = threading.Event()

    def warm_up(self, stop):
        self.prepared += 1
        if self.prepared == 1:
            raise self.failure
        if self.prepared == 3:
            self.often_enough.set()


@pytest.mark.parametrize(
    "failure",
    [
        OperationalError("SELECT hush", {}, Exception("hush")),
        OSError("hush"),
        ValueError("hush"),
    ],
)
def test_it_goes_on_after_whatever_went_wrong(ledger, caplog, failure):
    ledger.dashboard = Overview(failure)

    async def serve():
        async with warm_up_rollups(ledger, every_seconds=0)(None):
            assert await asyncio.to_thread(ledger.dashboard.often_enough.wait, 60)

    with caplog.at_level(logging.WARNING):
        asyncio.run(serve())
    assert type(failure).__name__ in caplog.text
    assert "hush" not in caplog.text
    assert ledger.dashboard.prepared >= 3


def test_an_application_does_so_from_its_start_to_its_end(settings, ledger, store):
    prepared = threading.Event()
    prepare = ledger.dashboard.warm_up
    ledger.dashboard.warm_up = lambda stop: (prepare(stop), prepared.set())
    app = create_app(settings, ledger, store)

    async def serve():
        async with app.router.lifespan_context(app):
            assert await asyncio.to_thread(prepared.wait, 60)
        assert len(asyncio.all_tasks()) == 1  # this one

    asyncio.run(serve())


def test_at_the_end_what_is_under_way_is_told_to_stop(ledger):
    class Slow:
        def __init__(self):
            self.begun, self.told, self.a_day = (threading.Event() for _ in range(3))

        def warm_up(self, stop):
            self.begun.set()
            for _ in range(60_000):  # days, between which it is asked
                if stop():
                    self.told.set()
                    return
                self.a_day.wait(0.001)

    ledger.dashboard = Slow()

    async def serve():
        async with warm_up_rollups(ledger)(None):
            assert await asyncio.to_thread(ledger.dashboard.begun.wait, 60)

    asyncio.run(serve())  # which waits for its threads
    assert ledger.dashboard.told.is_set()
