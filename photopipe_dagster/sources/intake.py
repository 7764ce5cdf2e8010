"""From an announcement, whatever its source, to the job of a photo."""

from __future__ import annotations

import logging

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.logs import about
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.repository import Arrival, Source, Submission
from photopipe_dagster.net.safe_download import DownloadPolicy
from photopipe_dagster.sources.threejms.models import (
    Announcement,
)
from photopipe_dagster.themes.registry import ThemeRegistry

_FULL_DIGEST = 64

_log = logging.getLogger(__name__)


def ingest(
    ledger: Ledger, settings: Settings, announcement: Announcement, source: Source
) -> Submission:
    """Make the job of an announced photo, or find the one it has. Blocks for milliseconds.

    Raises:
        PhotoRejectedError: The announcement cannot become a job; names the field and why.
    """
    known = arrival(settings, announcement, source)
    submission = ledger.jobs.submit(
        known.key, source, image_url=known.image_url, taken_at=known.taken_at
    )
    if submission.created:
        log_new(known)
    return submission


def arrival(settings: Settings, announcement: Announcement, source: Source) -> Arrival:
    """An announced photo as the ledger takes it; asks nobody.

    Raises:
        PhotoRejectedError: The announcement cannot become a job; names the field and why.
    """
    key = _photo_key(settings, announcement)
    DownloadPolicy.from_settings(settings).check(announcement.image_url)
    return Arrival(key, source, announcement.image_url, announcement.taken_at)


def log_new(arrival: Arrival) -> None:
    """Say in the log that a photo has got its job."""
    with about(arrival.key):
        _log.info("A new photo came in by %s", arrival.source)


def _photo_key(settings: Settings, announcement: Announcement) -> PhotoKey:
    theme = ThemeRegistry.from_settings(settings).offer(announcement.theme)
    digest = announcement.sha256
    if digest is None:
        raise PhotoRejectedError(
            "sha256: is missing; a photo is known by the SHA-256 of its bytes."
        )
    if settings.production and len(digest) != _FULL_DIGEST:
        raise PhotoRejectedError(
            f"sha256: has {len(digest)} hexadecimal digits; production needs all {_FULL_DIGEST}."
        )
    return PhotoKey(sku=announcement.sku, sha256=digest, theme=theme.name)
