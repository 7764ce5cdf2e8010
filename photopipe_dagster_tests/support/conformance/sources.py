"""What a source does with photos.

Each poll is the sensor's own (`sources.polling.Poller`), with a real ledger and a real store; the
plug-in speaks with a real service over a `Wire`.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from photopipe_dagster.core.errors import (
    ConfigurationError,
    JobError,
    NetworkError,
    PhotoRejectedError,
    RateLimitError,
)
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.runtime.configuration import secret_values
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.sources.base import SourceContext
from photopipe_dagster.sources.intake import Intake, scheme_of
from photopipe_dagster.sources.polling import Poller, PollReport
from photopipe_dagster.sources.registry import SOURCES
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.wire import Cut, KilledError, Wire, uncut
from photopipe_dagster_tests.support.world import photo_of_a_mug

ROUNDS = 40
"""Requests of one poll, at most."""

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Stock(ABC):
    """A source's service, as its tests know it.

    Args:
        name: The plug-in's.
        settings: Lead to the service, with a key that it takes, and two photos a page.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.plugin = SOURCES.get(name)
        self.settings = settings

    @abstractmethod
    def put(self, sku: str, photo: bytes, changed: datetime) -> None:
        """Have a photo of a product, changed at a moment."""

    @abstractmethod
    def put_malformed(self) -> None:
        """Have an entry that is no photo, with ``?sig=hush`` in it."""

    @abstractmethod
    def remove_files(self) -> None:
        """Have nothing behind the entries any more."""

    def waiting(self) -> list[str]:
        """SKUs of photos that are listed until they are acknowledged."""
        return []


@dataclass
class Intaker:
    """Polls a source as its sensor does."""

    stock: Stock
    settings: Settings
    ledger: Ledger

    def put(self, *numbers: int, ago: float = 10) -> None:
        """Have photos of that many minutes ago; each has its number, and in it its SKU."""
        for number in numbers:
            moment = NOW - timedelta(minutes=ago)
            self.stock.put(f"SKU #{number}", photo_of_a_mug(number, size=96), moment)

    def poll(self, before: Cut = uncut) -> PollReport:
        """One poll, over a wire that is cut like that."""

        async def run() -> PollReport:
            plugin, store = self.stock.plugin, object_store(self.settings)
            assert plugin.polling is not None
            async with PhotoFetcher(self.settings, transport=Wire(before)) as photos:
                intake = Intake(self.settings, self.ledger, store, photos.fetch)
                source = photos.source(plugin)
                poller = Poller(plugin, plugin.polling, source, intake, self.ledger, self.settings)
                return await poller.poll()

        return asyncio.run(run())

    def fetch(self, ref: str, before: Cut = uncut, **changed: object) -> bytes:
        """A photo, as stage *original* gets it."""

        async def run() -> bytes:
            settings = self.settings.model_copy(update=changed)
            async with PhotoFetcher(settings, transport=Wire(before)) as photos:
                return await photos.fetch(ref)

        return asyncio.run(run())

    @property
    def known(self) -> dict[str, str]:
        """Digests of the photos that have a job, by their SKUs."""
        jobs = self.ledger.jobs.find(JobQuery(), limit=1000)
        assert len({job.key.sku for job in jobs}) == len(jobs)
        return {job.key.sku: job.key.sha256 for job in jobs}

    @property
    def watermark(self) -> str | None:
        """Up to when all is known."""
        assert self.stock.plugin.polling is not None
        return self.ledger.watermarks.get(self.stock.plugin.polling.watermark)


class SourceContract:
    """What every source does that is polled."""

    name: ClassVar[str]
    """The plug-in's."""

    @pytest.fixture
    def stock(self) -> Stock:
        """The service, running and empty."""
        raise NotImplementedError

    @pytest.fixture
    def intake(self, stock: Stock, tmp_path: Path) -> Iterator[Intaker]:
        """Polls it, with a ledger of its own."""
        settings = stock.settings.model_copy(update={"data_dir": tmp_path})
        ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}", clock=lambda: NOW)
        yield Intaker(stock, settings, ledger)
        ledger.close()

    # --- listing ---------------------------------------------------------------------------

    def test_all_pages_become_jobs_once(self, intake: Intaker):
        intake.put(*range(5))
        report = intake.poll()
        assert (report.seen, report.created, report.rejected) == (5, 5, 0)
        assert intake.known == {
            f"SKU #{number}": hashlib.sha256(photo_of_a_mug(number, size=96)).hexdigest()
            for number in range(5)
        }
        again = intake.poll()
        assert (again.created, again.rejected) == (0, 0)
        polling = intake.stock.plugin.polling
        assert polling is not None
        (source,) = {job.source for job in intake.ledger.jobs.find(JobQuery(), limit=9)}
        assert (source, len(source) <= 16) == (polling.arrives_by, True)

    def test_each_poll_begins_where_the_last_one_ended(self, intake: Intaker):
        intake.put(1, ago=90)
        assert intake.poll().watermark == NOW - timedelta(minutes=90)
        intake.put(2, ago=10)
        intake.put(3, ago=90)  # of the same moment, and seen late
        assert intake.poll().created == 2
        assert intake.watermark == (NOW - timedelta(minutes=10)).isoformat()

    def test_an_entry_that_is_no_photo_is_kept_once_and_stops_nobody(self, intake: Intaker):
        intake.put(1)
        intake.stock.put_malformed()
        intake.put(2)
        for _ in range(2):
            assert intake.poll().rejected == 1
        (kept,) = intake.ledger.watermarks.rejections()
        assert kept.reason
        assert "hush" not in str(kept)
        assert intake.known.keys() == {"SKU #1", "SKU #2"}

    @pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(200, text="<html>")])
    def test_a_page_that_fails_loses_nothing(self, intake: Intaker, answer: httpx.Response):
        intake.put(*range(5))
        pages: list[str] = []

        def before(request: httpx.Request) -> httpx.Response | None:
            pages.append(request.url.path)
            return answer if pages.count(pages[0]) > 1 and pages[-1] == pages[0] else None

        with pytest.raises(NetworkError):
            intake.poll(before)
        assert intake.watermark is None
        intake.poll()
        assert len(intake.known) == 5
        assert intake.watermark is not None

    @pytest.mark.parametrize(
        ("status", "error"), [(401, ConfigurationError), (429, RateLimitError)]
    )
    def test_a_refusal_is_told(self, intake: Intaker, status: int, error: type[Exception]):
        with pytest.raises(error) as caught:
            intake.poll(lambda _: httpx.Response(status))
        assert not [each for each in secret_values(intake.settings) if each in str(caught.value)]

    # --- fetching --------------------------------------------------------------------------

    @pytest.fixture
    def ref(self, intake: Intaker) -> str:
        """Where a photo is, as its job has it."""
        intake.put(1)
        intake.poll()
        (job,) = intake.ledger.jobs.find(JobQuery(), limit=9)
        assert scheme_of(str(job.image_url)) in {*intake.stock.plugin.schemes, "http", "https"}
        return str(job.image_url)

    def test_a_photo_is_fetched_as_it_is(self, intake: Intaker, ref: str):
        assert intake.fetch(ref) == photo_of_a_mug(1, size=96)

    def test_one_that_is_gone_or_too_large_is_refused_for_good(self, intake: Intaker, ref: str):
        with pytest.raises(PhotoRejectedError, match="IMAGE_MAX_BYTES"):
            intake.fetch(ref, image_max_bytes=100)
        intake.stock.remove_files()
        with pytest.raises(JobError) as caught:
            intake.fetch(ref)
        assert not caught.value.retryable

    def test_one_that_cannot_be_had_now_is_tried_again(self, intake: Intaker, ref: str):
        with pytest.raises(JobError) as caught:
            intake.fetch(ref, lambda _: httpx.ConnectError("no"))
        assert caught.value.retryable

    # --- acknowledging ---------------------------------------------------------------------

    def test_wherever_a_poll_ends_the_next_one_has_and_acknowledges_all(self, intake: Intaker):
        for number in range(ROUNDS):
            intake.put(3 * number, 3 * number + 1, 3 * number + 2, ago=60 * (ROUNDS - number))
            if self._polled(intake, number):
                break
            intake.poll()
            assert len(intake.known) == 3 * number + 3
            assert intake.stock.waiting() == []
        else:
            pytest.fail("a poll takes too many requests")

    def _polled(self, intake: Intaker, number: int) -> bool:
        """Poll, and die before the request of that number; whether there is none."""
        left = iter(range(number))
        try:
            intake.poll(lambda _: None if next(left, None) is not None else KilledError())
        except KilledError:
            return False
        return True

    def test_what_is_no_photo_is_not_acknowledged(self, intake: Intaker):
        intake.stock.put("A", b"no picture", NOW)
        intake.poll()
        assert intake.stock.waiting() in (["A"], [])

    # --- settings --------------------------------------------------------------------------

    def test_it_is_off_where_nothing_is_set(self, stock: Stock):
        plugin, bare = stock.plugin, Settings(_env_file=None)
        assert plugin.name == self.name
        plugin.check(bare)
        assert "_URL" in str(plugin.schedule(bare).off)
        with pytest.raises(ConfigurationError, match="_URL"):
            plugin.open(SourceContext(bare))
        plugin.check(stock.settings)
        assert plugin.schedule(stock.settings).off is None
        assert plugin.schemes == {scheme.lower() for scheme in plugin.schemes}
