"""Where finished pictures are published, whatever the shop.

A target finds the product of a SKU, puts a picture on it once, and takes it off again. It knows
nothing of jobs, the object store or the ledger: what must outlive a crash it tells the
`MediaRecord` that it is given, before it goes on.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import httpx

from photopipe_dagster.core.plugins import Plugin
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.placement import SizeLimit


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a target takes.

    Args:
        size: What is larger is shrunk before it is published.
        bytes: Of the file.
        alt_characters: Of the description.
    """

    size: SizeLimit
    bytes: int
    alt_characters: int


@dataclass(frozen=True, slots=True)
class ProductRef:
    """A product of the target.

    Args:
        id: The target's own id.
        handle: Readable name in addresses.
        category_id: Of Shopify's standard taxonomy, where the target knows it.
        category: Full name of the category.
        product_type: The merchant's own word for its kind.
    """

    id: str
    title: str = ""
    handle: str = ""
    category_id: str | None = None
    category: str | None = None
    product_type: str | None = None


@dataclass(frozen=True, slots=True)
class PublishedMedia:
    """A picture that stands on its product.

    Args:
        media_id: The target's id of the picture.
        product_id: The target's id of the product.
        url: Its public address.
        reused: Whether it was there already, so that nothing was uploaded.
    """

    media_id: str
    product_id: str
    url: str
    reused: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """A picture that is to stand on a product.

    Args:
        product_id: The target's id of the product.
        filename: The same picture has the same name everywhere. Those of one photo in one theme
            differ in what follows the last ``-`` alone.
        data: The file.
        alt: What it shows, for those who do not see it.
    """

    product_id: str
    filename: str
    data: bytes = field(repr=False)
    content_type: str = "image/jpeg"
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What taking pictures off a product did.

    Args:
        taken: Ids of the media that were on the product and are not any more.
        restored: Id of the earlier media that is back in their place.
        lost: Id of the earlier media that cannot come back: its file is gone.
    """

    taken: tuple[str, ...] = ()
    restored: str | None = None
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class StandingMedia:
    """A picture that stands on a product now, no matter who put it there.

    Args:
        filename: ``None`` where the target does not tell.
    """

    id: str
    filename: str | None = None


class MediaRecord(Protocol):
    """Remembers, for one file name, which file was made and what it replaces: the ledger."""

    media_id: str | None
    """The file that an earlier attempt made or found; ``None`` if there was none."""
    replaces: str | None
    """The media in whose place it was put; ``None`` if it took nobody's."""

    def earlier(self, product_id: str) -> tuple[str, ...]:
        """Other files of the same photo and theme that may stand on a product, the last first."""
        ...

    async def created(self, media_id: str) -> None:
        """Keep the id for good, in place of an earlier one."""
        ...

    async def replacing(self, media_id: str | None) -> None:
        """Keep whose place it takes, before that one is taken off the product."""
        ...


class Target(Protocol):
    """One open connection to a shop. Safe for many coroutines of one event loop.

    All its calls raise `TargetError`, `NetworkError` or `RateLimitError` where the shop refuses or
    does not answer.
    """

    name: str
    """The plug-in's: what was published is recorded under it."""

    async def find_product(self, sku: str, *, may_be_new: bool = False) -> ProductRef:
        """The one product that has exactly this SKU.

        Args:
            may_be_new: Whether one that is not found is looked for once more, a while later:
                a shop's search may lag behind.

        Raises:
            ProductUnknownError: No product has it, or whose it is cannot be told.
        """
        ...

    async def publish(self, publication: Publication, record: MediaRecord) -> PublishedMedia:
        """Put a picture on a product, once; nothing happens if it stands there already.

        It takes the place of an earlier one of the same photo and theme (``record.earlier``), and
        else goes to the end. The order that makes it so: find what an earlier attempt made, make
        one only if there is none, ``await record.created`` before waiting for it, attach once.
        """
        ...

    async def withdraw(
        self, product_id: str, media_ids: Collection[str], *, restore: str | None = None
    ) -> Withdrawn:
        """Take pictures off a product and put an earlier one back in their place.

        Files stay in the shop. Repeated after a crash, it finishes what is left.
        """
        ...

    async def media_of(
        self, product_ids: Collection[str]
    ) -> Mapping[str, tuple[StandingMedia, ...] | None]:
        """What stands on each product; ``None`` for a product that is gone."""
        ...

    async def existing(self, media_ids: Collection[str]) -> frozenset[str]:
        """Those media whose file is still in the shop, on a product or not."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class ListedSku:
    """A SKU that a shop has.

    Args:
        title: The product's.
    """

    sku: str
    barcode: str | None = None
    title: str | None = None


@runtime_checkable
class ListsSkus(Protocol):
    """A `Target` that can list what it sells: names of files are compared with that."""

    def list_skus(self) -> AsyncIterator[list[ListedSku]]:
        """All SKUs, a page at a time.

        Raises:
            TargetError, NetworkError, RateLimitError: As a `Target`.
        """
        ...


@dataclass(frozen=True, slots=True)
class TargetContext:
    """What a target is opened with.

    Args:
        transport: Replaces the network in tests.
        sleep: Waits for seconds; tests pass their own.
        clock: Monotonic seconds; tests pass their own.
    """

    settings: Settings
    transport: httpx.AsyncBaseTransport | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic


class TargetPlugin(Plugin):
    """A kind of shop.

    Attributes:
        limits: What it takes of a picture.
        needs: The variables that name a shop of this kind, for messages that end in them.
        product_id: A regular expression that all of an id of a product matches.
        media_id: The same of a picture.
    """

    limits: ClassVar[PictureLimits]
    needs: ClassVar[str]
    product_id: ClassVar[str] = "[!-~]{1,128}"
    media_id: ClassVar[str] = "[!-~]{1,128}"

    @abstractmethod
    def shop(self, settings: Settings) -> str | None:
        """The shop of this kind that the settings name, for people; ``None`` if they name none."""

    def product_url(self, settings: Settings, product_id: str) -> str | None:
        """Where people see a product in the shop's administration; ``None``: nowhere."""
        return None

    @abstractmethod
    def open(self, context: TargetContext) -> Target:
        """Connect lazily to the shop of the settings.

        Raises:
            ConfigurationError: It cannot work with these settings.
        """

    @abstractmethod
    async def probe(self, context: TargetContext) -> str:
        """Ask the shop whether pictures may be published there, and say so.

        Raises:
            TargetError: They may not; says what to do.
            NetworkError, RateLimitError: The shop did not answer now.
        """
