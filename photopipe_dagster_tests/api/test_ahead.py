"""What pages show is added up beside the requests, whatever the database does."""

import asyncio
import logging
import threading

from sqlalchemy.exc import OperationalError

from photopipe_dagster.api.ahead import adding_up
from photopipe_dagster.api.app import create_app


class Overview:
    """Counts how often it is prepared; fails the first time."""

    def __init__(self):
        self.prepared = 0
        self.often_enough = threading.Event()

    def prepare(self):
        self.prepared += 1
        if self.prepared == 1:
            raise OperationalError("SELECT hush", {}, Exception("hush"))
        if self.prepared == 3:
            self.often_enough.set()


def test_it_goes_on_after_the_database_was_away(ledger, caplog):
    ledger.overview = Overview()

    async def serve():
        async with adding_up(ledger, every_seconds=0)(None):
            assert await asyncio.to_thread(ledger.overview.often_enough.wait, 60)

    with caplog.at_level(logging.WARNING):
        asyncio.run(serve())
    assert "OperationalError" in caplog.text
    assert "hush" not in caplog.text
    assert ledger.overview.prepared >= 3


def test_an_application_does_so_from_its_start_to_its_end(settings, ledger, store):
    prepared = threading.Event()
    prepare = ledger.overview.prepare
    ledger.overview.prepare = lambda: (prepare(), prepared.set())
    app = create_app(settings, ledger, store)

    async def serve():
        async with app.router.lifespan_context(app):
            assert await asyncio.to_thread(prepared.wait, 60)
        assert len(asyncio.all_tasks()) == 1  # this one

    asyncio.run(serve())
