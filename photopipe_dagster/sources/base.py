"""What a source of photos does, for any vendor.

A source tells of photos (`Announcement`) and gives their bytes. It knows nothing of jobs: the
intake makes those.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, Self

import httpx

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.plugins import Plugin
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
        height_cm: The product's height in life; ``None`` where the source does not say.
        warnings: What was left out since it could not be read, and why, without its value.
    """

    sku: str
    ref: str = field(repr=False)
    sha256: str | None = None
    taken_at: datetime | None = None
    updated_at: datetime | None = None
    theme: str | None = None
    height_cm: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry that no announcement can be made of; the ledger keeps it, with the reason.

    Args:
        reason: Which field is wrong, and why, without its value.
        shown: What can be shown of the entry, as `redaction.without_secrets` makes it.
        updated_at: When the source last changed it, where that could be read.
    """

    reason: str
    shown: Mapping[str, Any] = field(repr=False)
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NamedPhoto:
    """A source has a photo, and its name says which product it shows (`sources.names`).

    Args:
        name: The file's path below the source, with ``/`` between folders; shown to people.
        ref: As that of an `Announcement`, but no secret: the ledger keeps and shows it.
        version: Another one whenever the bytes are others, in at most 128 characters.
        updated_at: When the file was changed.
        theme: As that of an `Announcement`.
    """

    name: str
    ref: str
    version: str
    updated_at: datetime | None = None
    theme: str | None = None


Entry = Announcement | NamedPhoto | Malformed
"""What a source lists."""


class PhotoSource:
    """One open connection to a source. Safe for many coroutines of one event loop.

    Close it with `aclose`, or use it in ``async with``.

    Attributes:
        lists_all: Whether each listing has every photo that was not acknowledged.
    """

    lists_all: ClassVar[bool] = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @abstractmethod
    def list_since(self, moment: datetime | None) -> AsyncIterator[Sequence[Entry]]:
        """Pages of what was changed at or after a moment; of everything where there is none.

        Raises:
            ConfigurationError, NetworkError, RateLimitError: The listing could not be read to its
                end.
        """

    async def fetch(self, ref: str) -> bytes:
        """The bytes behind a reference with one of `SourcePlugin.schemes`.

        Raises:
            PhotoRejectedError: They are not there, or too large.
            NetworkError, RateLimitError: The source did not answer now.
        """
        raise NotImplementedError("a source with schemes of its own fetches their photos")

    async def acknowledge(self, announcement: Announcement) -> None:
        """The photo has its job, for good: the source may forget it.

        A source that needs this lists a photo at every poll until it was acknowledged. It is
        acknowledged again where a process dies before it could say so; and while the listing is
        still being read, so that one by the numbers of its pages would skip photos.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close connections."""


@dataclass(frozen=True, slots=True)
class Polling:
    """Under which names a source is polled. They are stored, so they never change.

    Args:
        sensor: The name of its sensor in Dagster, which keeps its cursor under it.
        watermark: The name of its watermark in the ledger.
        arrives_by: What a job's ``source`` says of a photo that came by it, in at most 16
            characters.
    """

    sensor: str
    watermark: str
    arrives_by: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a source is polled.

    Args:
        every_seconds: Between two polls.
        overlap_seconds: How far before the watermark each poll looks again.
        off: Why it is not polled with these settings, for a person; ``None``: it is.
    """

    every_seconds: int
    overlap_seconds: int
    off: str | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a source posts announcements, one a request.

    Args:
        path: Below ``/api/webhooks``, with a slash at the beginning.
        arrives_by: What a job's ``source`` says of a photo that came by it, in at most 16
            characters; stored, so it never changes.
        description: What OpenAPI says of it, in Markdown.
        openapi: The body and the headers of a request, as parts of an OpenAPI operation.
    """

    path: str
    arrives_by: str
    description: str
    openapi: Mapping[str, Any]


class WebhookRefusedError(PhotopipeError):
    """A webhook is not authentic, or not what was agreed.

    Args:
        status: The HTTP status of the answer.
        code: For programs; does not change.
        message: What to check, never a secret.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class WebhookReader(Protocol):
    """Turns what a source posts into an announcement."""

    @property
    def verifies(self) -> bool:
        """Whether it sees to it that the source has sent a request, and nobody else."""
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> Announcement:
        """Verify and read one request.

        Args:
            headers: Found by their names in any case.

        Raises:
            WebhookRefusedError: It is not authentic, or not what was agreed.
            PhotoRejectedError: The photo cannot become a job.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What a source is opened with.

    Args:
        transport: Replaces the network in tests.
    """

    settings: Settings
    transport: httpx.AsyncBaseTransport | None = None


class SourcePlugin(Plugin):
    """A kind of source: it is polled, posts webhooks, or both.

    One for which nothing is set is off, and `check` finds nothing wrong with that.

    Attributes:
        schemes: Of references that it fetches itself, in lower case, and no other source does;
            ``https`` needs none.
        polling: The names under which it is polled; ``None``: it cannot be.
        webhook: Where it posts announcements; ``None``: nowhere.
    """

    schemes: ClassVar[frozenset[str]] = frozenset()
    polling: ClassVar[Polling | None] = None
    webhook: ClassVar[Webhook | None] = None

    @abstractmethod
    def open(self, context: SourceContext) -> PhotoSource:
        """Connect lazily to the source of the settings.

        Raises:
            ConfigurationError: It cannot work with these settings.
        """

    def schedule(self, settings: Settings) -> Schedule:
        """When it is polled. Asked of those alone that have a `polling`."""
        raise NotImplementedError("a source that is polled says when")

    def is_on(self, settings: Settings) -> bool:
        """Whether photos come from it by themselves with these settings."""
        return self.webhook is not None or (
            self.polling is not None and self.schedule(settings).off is None
        )

    def open_webhook(self, settings: Settings) -> WebhookReader:
        """Who reads what it posts. Asked of those alone that have a `webhook`.

        Raises:
            ConfigurationError: It cannot be verified with these settings.
        """
        raise NotImplementedError("a source that posts webhooks says who reads them")
