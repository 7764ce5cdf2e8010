"""What an AI provider does, for any vendor.

A provider cuts products out (`CutoutProvider`), makes backgrounds (`BackgroundProvider`), or
both. It knows nothing of photos' keys, the store or the ledger: it is given bytes and a
`Purchase`, and tells the purchase as soon as there is something to resume.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import httpx

from photopipe_dagster.core.errors import ProviderError
from photopipe_dagster.core.plugins import Plugin
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.prices import PriceList
from photopipe_dagster.themes.model import Theme

if TYPE_CHECKING:  # who pays for pictures need not wait for it
    import numpy as np
    from numpy.typing import NDArray

    from photopipe_dagster.ledger.scenes import SceneRevision


class Purchase(Protocol):
    """One paid call, as the provider sees it; the ledger is behind it.

    The provider calls `submitted` as soon as it holds a reference from which the result can be
    fetched again after a crash (a task id, or the address of a finished result), and before it
    does anything else with it. If `reference` is set at the start, the call was made by an earlier
    process: the provider fetches that result and does not buy another.
    """

    @property
    def reference(self) -> str | None:
        """What an earlier process was told to fetch; ``None`` if nothing was submitted yet."""
        ...

    @property
    def lost_since(self) -> datetime | None:
        """When an earlier process began to order this, and died before it had a reference.

        ``None`` where nothing is lost, or the provider cannot look for it (`Capabilities`). It
        raises `ResultGoneError` where there is no such order.
        """
        ...

    def costs(self, usd: Decimal) -> None:
        """What the provider says that it takes for this: it is booked instead of the price."""
        ...

    async def submitted(self, reference: str) -> None:
        """Keep a reference for good. May be a signed URL: it never leaves the ledger."""
        ...

    def released(self) -> AbstractAsyncContextManager[None]:
        """Around a long wait for what was submitted, which needs no slot and keeps no picture."""
        ...


class Unpaid:
    """A purchase of what costs nothing, outside a photo's way: nothing is kept."""

    reference: str | None = None
    lost_since: datetime | None = None

    def costs(self, usd: Decimal) -> None:
        """Nothing is booked."""

    def released(self) -> AbstractAsyncContextManager[None]:
        """Nothing is held."""
        return nullcontext()

    async def submitted(self, reference: str) -> None:
        """Nothing needs to be found again."""


class ResultGoneError(Exception):
    """A submitted call was paid, and its result can no longer be fetched. Buying again is right."""


class StillRunningError(ProviderError):
    """A submitted call has not ended in time, or its result could not be fetched yet.

    Nothing is lost: its purchase stays open, and the next try resumes it.
    """

    retryable = True


@dataclass(frozen=True, slots=True)
class Original:
    """The photo that a product is cut out of.

    Args:
        data: The file as it was received: JPEG, PNG or WebP.
        content_type: Its true MIME type.
        width: Pixels, as displayed (EXIF orientation applied).
        height: Pixels, as displayed.
        signed_url: Makes a URL from which the provider can download `data`; a secret.
    """

    data: bytes = field(repr=False)
    content_type: str
    width: int
    height: int
    signed_url: Callable[[], str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cutout:
    """A product without its ground.

    Args:
        picture: In the displayed size of the original, straight alpha, sRGB: a PNG, or
            (height, width, 4) uint8 where it is decoded already.
        model: Name and version of what made it.
        metadata: Facts worth showing; no secrets.
    """

    picture: bytes | NDArray[np.uint8] = field(repr=False)
    model: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackgroundRequest:
    """What is asked of a background.

    Args:
        theme: The theme; its prompt goes to providers that read prompts.
        width: Pixels of the composite it is for; the provider may answer in another size.
        height: Pixels.
        seed: Makes the picture reproducible where the provider can; from the photo's hash.
        scene: That the theme has chosen for the product; ``None``: a picture of its own.
    """

    theme: Theme
    width: int
    height: int
    seed: int
    scene: SceneRevision | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """A scene for a product.

    Args:
        data: JPEG or PNG, sRGB, of any size near to the one asked for.
        content_type: Its true MIME type.
        model: Name and version of what made it.
        metadata: Facts worth showing; no secrets.
    """

    data: bytes = field(repr=False)
    content_type: str
    model: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


class CutoutProvider(Protocol):
    """Cuts products out of photos."""

    name: str

    def cutout_parameters(self) -> Mapping[str, str]:
        """All that decides how a cut-out looks (model, version, options): part of its recipe."""
        ...

    def cutout_price(self) -> Decimal:
        """USD for one."""
        ...

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Cut the product out.

        Raises:
            ProviderError: Refused or failed; says whether it was billed.
            NetworkError, RateLimitError: Not sent, so not billed.
            ResultGoneError: The purchase was resumed and its result has expired.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class BackgroundProvider(Protocol):
    """Makes themed backgrounds."""

    name: str

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """All that decides how a background looks (model, prompt, resolution): for its recipe."""
        ...

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """USD for one."""
        ...

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Make a background.

        Raises:
            ProviderError: Refused or failed; says whether it was billed.
            NetworkError, RateLimitError: Not sent, so not billed.
            ResultGoneError: The purchase was resumed and its result has expired.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do, and what it needs for that.

    Args:
        cutout: It cuts products out of photos.
        background: It makes backgrounds.
        enhance: It enlarges or repairs pictures.
        remote: It is a service that can be down; else it works on this machine.
        generative: Its backgrounds come from a generative model: they may hold anything, and the
            picture says so of its own origin.
        alters_pixels: Its cut-outs may have other pixels than the photo.
        takes: How it gets a photo: its bytes, or a URL that it downloads from.
        largest_input_bytes: Of a photo that it takes; ``None``: any.
        largest_input_pixels: Width times height of a photo that it takes; ``None``: any.
        confidence: Its cut-outs say how sure it is.
        seed: The same seed gives the same background.
        finds_lost: It can look for an order whose answer was lost.
    """

    cutout: bool = False
    background: bool = False
    enhance: bool = False
    remote: bool = True
    generative: bool = True
    alters_pixels: bool = False
    takes: frozenset[Literal["bytes", "url"]] = frozenset({"bytes"})
    largest_input_bytes: int | None = None
    largest_input_pixels: int | None = None
    confidence: bool = False
    seed: bool = False
    finds_lost: bool = False


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider is opened with.

    Args:
        wall_clock: The time, which decides whose day's prices hold; tests pass their own.
        transport: Replaces the network in tests.
        sleep: Waits for seconds; tests pass their own.
        clock: Monotonic seconds; tests pass their own.
    """

    settings: Settings
    wall_clock: Callable[[], datetime] = _now
    transport: httpx.AsyncBaseTransport | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def now(self) -> datetime:
        """This moment, whose prices hold: read it at each purchase, for a process lives long."""
        return self.wall_clock()

    @property
    def in_real_time(self) -> bool:
        """Whether this is the process's own time, so that limits can be shared."""
        return self.clock is time.monotonic


class ProviderPlugin(Plugin):
    """A provider, before it is opened. Its modules import what is heavy in `open` alone.

    Attributes:
        capabilities: What it can do.
    """

    capabilities: ClassVar[Capabilities]

    @abstractmethod
    def open(self, context: ProviderContext) -> CutoutProvider | BackgroundProvider:
        """The provider, ready for all that its capabilities say. Connects when it is first used.

        Raises:
            ConfigurationError: It cannot work with these settings.
        """

    def prices(self, settings: Settings) -> PriceList:
        """What it takes for all that may be bought with these settings; empty: free."""
        return PriceList()

    def prepare(self, settings: Settings) -> None:
        """Fetch what it needs on this machine, such as a model, before it is first used."""
        return

    async def probe(self, context: ProviderContext) -> PartStatus:
        """Ask the service whether this key works, with the cheapest call that needs it."""
        return "connected"
