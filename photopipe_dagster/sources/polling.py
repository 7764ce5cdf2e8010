"""The poll of a source, which finds what no webhook brought.

The watermark is where the next poll begins. It moves only when a listing was read to its end: the
order of a listing is not promised, so after a page that failed nobody knows what is still missing.
Reading again what is known costs a look into the ledger for each photo and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.errors import JobError, PhotopipeError, PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.sources.base import (
    Announcement,
    Entry,
    Malformed,
    NamedPhoto,
    PhotoSource,
    Polling,
    SourcePlugin,
)
from photopipe_dagster.sources.intake import Accepted, Intake
from photopipe_dagster.sources.named_files import NamedFiles, Outcome, Refresh
from photopipe_dagster.sources.redaction import without_secrets

CLOCK_SKEW: Final = timedelta(seconds=60)
"""How far the clock of a source may be behind ours, where a listing names no moments itself."""

SAME_MOMENT: Final = timedelta(seconds=1)
"""Looked back at least: ``since`` may exclude its moment, or be cut to seconds."""

_UNMATCHED_A_PAGE: Final = 50

_ANNOUNCED: Final = TypeAdapter(Announcement)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PollReport:
    """What a poll found.

    Args:
        title: The source.
        seen: Entries in the listing.
        created: New jobs.
        duplicates: Photos that had a job.
        rejected: Entries that cannot become jobs; the ledger keeps each once, with the reason.
        watermark: Where the next poll begins, less the overlap; ``None`` before the first photo.
        waiting: Files of the tray: a person says what they are, or their name matches later.
        complete: Whether the listing was read to its end; else the next poll goes on.
    """

    title: str
    seen: int
    created: int
    duplicates: int
    rejected: int
    watermark: datetime | None
    waiting: int = 0
    complete: bool = True

    def __str__(self) -> str:
        text = (
            f"{self.seen} photos listed by {self.title}: {self.created} new, "
            f"{self.duplicates} known, {self.rejected} refused"
        )
        if self.waiting:
            text += f", {self.waiting} in the tray"
        if not self.complete:
            text += "; there are more"
        return text if self.watermark is None else f"{text}; seen up to {self.watermark:%F %T} UTC"


@dataclass(frozen=True, slots=True)
class Poller:
    """Asks one source for its photos.

    Args:
        polling: The plug-in's.
        source: Open; the caller closes it.
        refresh: Has the shop's SKUs listed again, for names that match none; whether it did.
        seconds: After so long a poll of files by name ends with the page that it is at.
    """

    plugin: SourcePlugin
    polling: Polling
    source: PhotoSource
    intake: Intake
    ledger: Ledger
    settings: Settings
    refresh: Refresh | None = None
    seconds: float = float("inf")

    async def poll(self) -> PollReport:
        """Ask for photos since the last poll, make their jobs, and move the watermark.

        Raises:
            ConfigurationError, NetworkError, RateLimitError, StorageError: The listing could not
                be read to its end, or a photo of it could not be fetched. All else has its jobs;
                the watermark stays.
        """
        overlap = timedelta(seconds=self.plugin.schedule(self.settings).overlap_seconds)
        started, clock = self.ledger.database.now(), time.monotonic()
        old = await asyncio.to_thread(self._watermark)
        outcomes: list[Outcome | JobError] = []
        newest: datetime | None = None
        complete = True
        files = NamedFiles(
            self.plugin, self.ledger, self._accept, self._acknowledge, refresh=self.refresh
        )
        async for page in self._pages(files, _before(old, max(overlap, SAME_MOMENT))):
            outcomes += await self._take_page(page, files)
            newest = _latest([newest, *(entry.updated_at for entry in page)])
            if time.monotonic() - clock > self.seconds and files.has_taken:
                complete = False
                break
        for outcome in outcomes:
            if isinstance(outcome, JobError):
                raise outcome
        watermark = old
        if outcomes and complete:
            # A moment in the future would hide all photos until then.
            reached = min(newest, started) if newest is not None else started - CLOCK_SKEW
            watermark = _latest([old, reached])
        if watermark is not None and watermark != old:
            await asyncio.to_thread(
                self.ledger.watermarks.set, self.polling.watermark, watermark.isoformat()
            )
        if complete and self.source.lists_all:
            await files.forget_unlisted()
        return PollReport(
            title=self.plugin.title,
            seen=len(outcomes),
            created=outcomes.count(Outcome.CREATED),
            duplicates=outcomes.count(Outcome.DUPLICATE),
            rejected=outcomes.count(Outcome.REJECTED),
            watermark=watermark,
            waiting=outcomes.count(Outcome.WAITING),
            complete=complete,
        )

    async def _pages(
        self, files: NamedFiles, moment: datetime | None
    ) -> AsyncIterator[Sequence[Entry]]:
        if not self.source.lists_all:
            for some in batched(await files.unmatched(), _UNMATCHED_A_PAGE):
                yield some
        async for page in self.source.list_since(moment):
            yield page

    async def _take_page(
        self, page: Sequence[Entry], files: NamedFiles
    ) -> list[Outcome | JobError]:
        """Make the jobs of a page, all at once: they are written together."""
        named = [entry for entry in page if isinstance(entry, NamedPhoto)]
        others = [entry for entry in page if not isinstance(entry, NamedPhoto)]
        results = await asyncio.gather(*map(self._accept, others), return_exceptions=True)
        outcomes = [
            await self._settle(entry, result) for entry, result in zip(others, results, strict=True)
        ]
        return outcomes + await files.take(named)

    async def _accept(self, entry: Announcement | Malformed) -> Accepted:
        if isinstance(entry, Malformed):
            raise PhotoRejectedError(entry.reason)
        return await self.intake.accept(entry, self.plugin, arrives_by=self.polling.arrives_by)

    async def _settle(
        self, entry: Announcement | Malformed, result: Accepted | BaseException
    ) -> Outcome | JobError:
        """Note what became of an entry; an error that is not about it alone is raised."""
        title = self.plugin.title
        if isinstance(result, PhotoRejectedError):
            shown = entry.shown if isinstance(entry, Malformed) else _shown(entry)
            reject = self.ledger.watermarks.reject
            await asyncio.to_thread(reject, self.polling.arrives_by, result.message, shown)
            return Outcome.REJECTED
        if isinstance(result, JobError):
            _log.warning("A photo of %s is left for the next poll: %s", title, result.message)
            return result
        if isinstance(result, BaseException):
            raise result
        assert isinstance(entry, Announcement)  # noqa: S101  # nothing else is accepted
        if result.created:
            for warning in entry.warnings:
                _log.warning("A photo listed by %s: %s", title, warning)
        await self._acknowledge(entry)
        return Outcome.CREATED if result.created else Outcome.DUPLICATE

    async def _acknowledge(self, entry: Announcement) -> None:
        try:
            await self.source.acknowledge(entry)
        except Exception as error:  # whatever it is, the photo has its job
            # Of an error that is not ours, not its text: it may hold a URL.
            said = str(error) if isinstance(error, PhotopipeError) else type(error).__name__
            _log.warning(
                "%s could not be told that a photo has its job; the next poll tells it: %s",
                self.plugin.title,
                said,
            )

    def _watermark(self) -> datetime | None:
        value = self.ledger.watermarks.get(self.polling.watermark)
        try:
            return None if value is None else datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            _log.warning(
                "The watermark %s is no moment; all photos are listed again.",
                self.polling.watermark,
            )
            return None


def _shown(announcement: Announcement) -> dict[str, Any]:
    shown = _ANNOUNCED.dump_python(
        announcement, mode="json", exclude_none=True, exclude={"warnings"}
    )
    address = re.split(r"[?#]", shown.pop("ref"), maxsplit=1)[0]
    return without_secrets(shown | {"image_url": address})


def _before(moment: datetime | None, overlap: timedelta) -> datetime | None:
    if moment is None:
        return None
    try:
        return moment - overlap
    except OverflowError:
        return None


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
