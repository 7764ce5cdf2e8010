"""What an AI provider does, whoever it is.

A provider cuts products out (`CutoutProvider`), makes backgrounds (`BackgroundProvider`), or
both. It knows nothing of photos' keys, the store or the ledger: it is given bytes and a
`Purchase`, and tells the purchase as soon as there is something to resume.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from photopipe_dagster.core.errors import ProviderError
from photopipe_dagster.themes.model import Theme


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

    async def submitted(self, reference: str) -> None:
        """Keep a reference for good. May be a signed URL: it never leaves the ledger."""
        ...

    def waits(self) -> AbstractAsyncContextManager[None]:
        """Around a long wait for what was submitted, with nothing large in hand."""
        ...


class ResultGone(Exception):  # noqa: N818
    """A submitted call was paid, and its result can no longer be fetched. Buying again is right."""


class StillRunning(ProviderError):  # noqa: N818
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
        png: RGBA PNG, straight alpha, sRGB, in the displayed size of the original.
        model: Name and version of what made it.
        metadata: Facts worth showing; no secrets.
    """

    png: bytes = field(repr=False)
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
    """

    theme: Theme
    width: int
    height: int
    seed: int


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
            NetworkError, RateLimited: Not sent, so not billed.
            ResultGone: The purchase was resumed and its result has expired.
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
            NetworkError, RateLimited: Not sent, so not billed.
            ResultGone: The purchase was resumed and its result has expired.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
