"""The poll of a source, which finds what no webhook brought.

The watermark is where the next poll begins. It moves only when a listing was read to its end: the
order of a listing is not promised, so after a page that failed nobody knows what is still missing.
Reading again what is known costs a look into the ledger for each photo and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pydantic import TypeAdapter

from photopipe_dagster.core.errors import JobError, PhotopipeError, PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.sources.base import (
    Announcement,
    Malformed,
    PhotoSource,
    Polling,
    SourcePlugin,
)
from photopipe_dagster.sources.intake import Accepted, Intake
from photopipe_dagster.sources.redaction import without_secrets

CLOCK_SKEW: Final = timedelta(seconds=60)
"""How far the clock of a source may be behind ours, where a listing names no moments itself."""

SAME_MOMENT: Final = timedelta(seconds=1)
"""Looked back at least: ``since`` may exclude its moment, or be cut to seconds."""

_ANNOUNCED: Final = TypeAdapter(Announcement)

_log = logging.getLogger(__name__)


class _Outcome(StrEnum):
    """What became of one entry of a listing."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


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
    """

    title: str
    seen: int
    created: int
    duplicates: int
    rejected: int
    watermark: datetime | None

    def __str__(self) -> str:
        text = (
            f"{self.seen} photos listed by {self.title}: {self.created} new, "
            f"{self.duplicates} known, {self.rejected} refused"
        )
        return text if self.watermark is None else f"{text}; seen up to {self.watermark:%F %T} UTC"


@dataclass(frozen=True, slots=True)
class Poller:
    """Asks one source for its photos.

    Args:
        polling: The plug-in's.
        source: Open; the caller closes it.
    """

    plugin: SourcePlugin
    polling: Polling
    source: PhotoSource
    intake: Intake
    ledger: Ledger
    settings: Settings

    async def poll(self) -> PollReport:
        """Ask for photos since the last poll, make their jobs, and move the watermark.

        Raises:
            ConfigurationError, NetworkError, RateLimitError, StorageError: The listing could not
                be read to its end, or a photo of it could not be fetched. All else has its jobs;
                the watermark stays.
        """
        overlap = timedelta(seconds=self.plugin.schedule(self.settings).overlap_seconds)
        started = self.ledger.database.now()
        old = await asyncio.to_thread(self._watermark)
        outcomes: list[_Outcome | JobError] = []
        newest: datetime | None = None
        async for page in self.source.list_since(_before(old, max(overlap, SAME_MOMENT))):
            outcomes += await self._take_page(page)
            newest = _latest([newest, *(entry.updated_at for entry in page)])
        for outcome in outcomes:
            if isinstance(outcome, JobError):
                raise outcome
        watermark = old
        if outcomes:
            # A moment in the future would hide all photos until then.
            reached = min(newest, started) if newest is not None else started - CLOCK_SKEW
            watermark = _latest([old, reached])
        if watermark is not None and watermark != old:
            await asyncio.to_thread(
                self.ledger.watermarks.set, self.polling.watermark, watermark.isoformat()
            )
        return PollReport(
            title=self.plugin.title,
            seen=len(outcomes),
            created=outcomes.count(_Outcome.CREATED),
            duplicates=outcomes.count(_Outcome.DUPLICATE),
            rejected=outcomes.count(_Outcome.REJECTED),
            watermark=watermark,
        )

    async def _take_page(self, page: list[Announcement | Malformed]) -> list[_Outcome | JobError]:
        """Make the jobs of a page, all at once: they are written together."""
        results = await asyncio.gather(*map(self._accept, page), return_exceptions=True)
        return [
            await self._settle(entry, result) for entry, result in zip(page, results, strict=True)
        ]

    async def _accept(self, entry: Announcement | Malformed) -> Accepted:
        if isinstance(entry, Malformed):
            raise PhotoRejectedError(entry.reason)
        return await self.intake.accept(entry, self.plugin, arrives_by=self.polling.arrives_by)

    async def _settle(
        self, entry: Announcement | Malformed, result: Accepted | BaseException
    ) -> _Outcome | JobError:
        """Note what became of an entry; an error that is not about it alone is raised."""
        title = self.plugin.title
        if isinstance(result, PhotoRejectedError):
            shown = entry.shown if isinstance(entry, Malformed) else _shown(entry)
            reject = self.ledger.watermarks.reject
            await asyncio.to_thread(reject, self.polling.arrives_by, result.message, shown)
            return _Outcome.REJECTED
        if isinstance(result, JobError):
            _log.warning("A photo of %s is left for the next poll: %s", title, result.message)
            return result
        if isinstance(result, BaseException):
            raise result
        assert isinstance(entry, Announcement)  # noqa: S101  # nothing else is accepted
        if result.created:
            for warning in entry.warnings:
                _log.warning("A photo listed by %s: %s", title, warning)
        try:
            await self.source.acknowledge(entry)
        except Exception as error:  # whatever it is, the photo has its job
            # Of an error that is not ours, not its text: it may hold a URL.
            said = str(error) if isinstance(error, PhotopipeError) else type(error).__name__
            _log.warning(
                "%s could not be told that a photo has its job; the next poll tells it: %s",
                title,
                said,
            )
        return _Outcome.CREATED if result.created else _Outcome.DUPLICATE

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
