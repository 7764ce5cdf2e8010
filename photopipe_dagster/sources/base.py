"""What a source of photos does, whoever it is.

A source tells of photos (`Announcement`) and gives their bytes. It knows nothing of jobs: the
intake makes those.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

import httpx

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.plugins import Plugin
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Announcement:
    """A source has a photo of a product.

    Args:
        sku: The product's SKU, verbatim.
        ref: Where the photo is: a URL whose scheme says who fetches it. ``https`` is downloaded;
            any other is one of `SourcePlugin.schemes`. May be a signed URL: a secret.
        sha256: Lower-case hex of the photo's bytes: a claim, until the bytes confirm it. ``None``
            where the source does not know: the intake fetches the photo and sees.
        taken_at: When the photo was taken.
        updated_at: When the source last changed its record of the photo.
        theme: The theme that the photo is wanted in; ``None`` for the default one.
    """

    sku: str
    ref: str = field(repr=False)
    sha256: str | None = None
    taken_at: datetime | None = None
    updated_at: datetime | None = None
    theme: str | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry that no announcement can be made of; the ledger keeps it, with the reason.

    Args:
        reason: Which field is wrong, and why, without its value.
        shown: What can be shown of the entry: no secrets, no signed URLs.
    """

    reason: str
    shown: Mapping[str, Any]


class PhotoSource(Protocol):
    """One open connection to a source. Safe for many coroutines of one event loop."""

    def list_since(self, moment: datetime | None) -> AsyncIterator[list[Announcement | Malformed]]:
        """Pages of what was changed at or after a moment; of everything where there is none.

        Raises:
            ConfigurationError, NetworkError, RateLimitError: The listing could not be read to its
                end.
        """
        ...

    async def fetch(self, ref: str) -> bytes:
        """The bytes behind a reference with a scheme of this source.

        Raises:
            PhotoRejectedError: They are not there, or too large.
            NetworkError, RateLimitError: The source did not answer now.
        """
        ...

    async def acknowledge(self, announcement: Announcement) -> None:
        """The photo has its job, for good: the source may forget it. Repeated after a crash."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class Polling:
    """How a source is polled.

    Args:
        every_seconds: Between two polls.
        overlap_seconds: How far before the watermark each poll looks again.
        watermark: Its name in the ledger; never changes.
        sensor: The name of its sensor in Dagster, which keeps its cursor under it; never changes.
        arrives_by: What a job's ``source`` says of a photo that came by it.
    """

    every_seconds: int
    overlap_seconds: int
    watermark: str
    sensor: str
    arrives_by: str


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source is opened with.

    Args:
        transport: Replaces the network in tests.
    """

    settings: Settings
    transport: httpx.AsyncBaseTransport | None = None


class WebhookReader(Protocol):
    """Turns what a source posts into an announcement."""

    def read(self, headers: Mapping[str, str], body: bytes) -> Announcement:
        """Verify and read one request.

        Raises:
            WebhookRefusedError: It is not authentic, or not what was agreed; has the HTTP status.
        """
        ...


class SourcePlugin(Plugin):
    """A kind of source.

    Attributes:
        schemes: Of references that it fetches itself; ``https`` needs none.
        webhook_path: Where it posts announcements, below ``/api/webhooks/``; ``None``: nowhere.
        advice: What an operator does about a code, where the general advice is not enough.
    """

    schemes: ClassVar[frozenset[str]] = frozenset()
    webhook_path: ClassVar[str | None] = None
    advice: ClassVar[Mapping[ErrorCode, str]] = {}

    @abstractmethod
    def check(self, settings: Settings) -> None:
        """See whether its settings can work; opens no connection.

        Raises:
            ConfigurationError: Says which variable to set.
        """

    @abstractmethod
    def polling(self, settings: Settings) -> Polling:
        """How it is polled; its names hold whether it is switched on or not."""

    @abstractmethod
    def polls(self, settings: Settings) -> str | None:
        """Why it is not polled with these settings, for a person; ``None``: it is."""

    @abstractmethod
    def open(self, context: SourceContext) -> PhotoSource:
        """Connect lazily to the source of the settings."""

    def webhook(self, settings: Settings) -> WebhookReader | None:
        """Who reads what it posts; ``None`` where it posts nothing."""
        return None

    async def probe(self, context: SourceContext) -> PartStatus:
        """Ask the source whether it answers."""
        return "not configured"
