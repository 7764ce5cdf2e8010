"""From announcement to job, and the poll that finds what no webhook brought.

The watermark is where the next poll begins. It moves only when a listing was read to its end: the
order of a listing is not promised, so after a page that failed nobody knows what is still missing.
Reading again what is known costs a look into the ledger for each photo and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.watermarks import LAST_3JMS_POLL
from photopipe_dagster.sources.intake import ingest
from photopipe_dagster.sources.threejms.client import ThreeJmsClient
from photopipe_dagster.sources.threejms.models import (
    Announcement,
    Malformed,
    read_moment,
    without_secrets,
)

CLOCK_SKEW: Final = timedelta(seconds=60)
"""How far the clock of 3JMS may be behind ours, where a listing names no moments itself."""

SAME_MOMENT: Final = timedelta(seconds=1)
"""Looked back at least: ``since`` may exclude its moment, or be cut to seconds."""


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
        seen: Entries in the listing.
        created: New jobs.
        duplicates: Photos that had a job.
        rejected: Entries that cannot become jobs; the ledger keeps each once, with the reason.
        watermark: Where the next poll begins, less the overlap; ``None`` before the first photo.
    """

    seen: int
    created: int
    duplicates: int
    rejected: int
    watermark: datetime | None

    def __str__(self) -> str:
        text = (
            f"{self.seen} photos listed by 3JMS: {self.created} new, {self.duplicates} known, "
            f"{self.rejected} refused"
        )
        return text if self.watermark is None else f"{text}; seen up to {self.watermark:%F %T} UTC"


async def poll(client: ThreeJmsClient, ledger: Ledger, settings: Settings) -> PollReport:
    """Ask 3JMS for photos since the last poll, make their jobs, and move the watermark.

    Raises:
        ConfigurationError, NetworkError, RateLimitError: The listing could not be read to its end.
            What was read has its jobs; the watermark stays.
    """
    started = ledger.database.now()
    old = await asyncio.to_thread(_watermark, ledger)
    overlap = max(timedelta(seconds=settings.threejms_poll_overlap_seconds), SAME_MOMENT)
    outcomes: list[_Outcome] = []
    newest: datetime | None = None
    async for page in client.photos_since(_before(old, overlap)):
        outcomes += await asyncio.to_thread(_take_page, ledger, settings, page)
        newest = _latest([newest, *(entry.updated_at for entry in page)])
    watermark = old
    if outcomes:
        # A moment in the future would hide all photos until then.
        reached = min(newest, started) if newest is not None else started - CLOCK_SKEW
        watermark = _latest([old, reached])
    if watermark is not None and watermark != old:
        await asyncio.to_thread(ledger.watermarks.set, LAST_3JMS_POLL, watermark.isoformat())
    return PollReport(
        seen=len(outcomes),
        created=outcomes.count(_Outcome.CREATED),
        duplicates=outcomes.count(_Outcome.DUPLICATE),
        rejected=outcomes.count(_Outcome.REJECTED),
        watermark=watermark,
    )


def _take_page(
    ledger: Ledger, settings: Settings, page: list[Announcement | Malformed]
) -> list[_Outcome]:
    return [_take(ledger, settings, entry) for entry in page]


def _take(ledger: Ledger, settings: Settings, entry: Announcement | Malformed) -> _Outcome:
    if isinstance(entry, Malformed):
        ledger.watermarks.reject("poll", entry.reason, entry.shown)
        return _Outcome.REJECTED
    try:
        submission = ingest(ledger, settings, entry, "poll")
    except PhotoRejectedError as error:
        ledger.watermarks.reject("poll", error.message, _shown(entry))
        return _Outcome.REJECTED
    return _Outcome.CREATED if submission.created else _Outcome.DUPLICATE


def _shown(announcement: Announcement) -> dict[str, Any]:
    return without_secrets(announcement.model_dump(mode="json", exclude_none=True))


def _watermark(ledger: Ledger) -> datetime | None:
    value = ledger.watermarks.get(LAST_3JMS_POLL)
    try:
        return read_moment(value)
    except ValueError:
        _log.warning("The watermark %s is no moment; all photos are listed again.", LAST_3JMS_POLL)
        return None


def _before(moment: datetime | None, overlap: timedelta) -> datetime | None:
    if moment is None:
        return None
    try:
        return moment - overlap
    except OverflowError:
        return None


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)
