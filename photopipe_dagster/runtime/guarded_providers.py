"""Providers behind their circuit breakers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Generic, TypeVar

from photopipe_dagster.providers.base import (
    Background,
    BackgroundProvider,
    BackgroundRequest,
    Cutout,
    CutoutProvider,
    Original,
    Purchase,
)
from photopipe_dagster.runtime.circuit_breaker import Guard

Guarded = TypeVar("Guarded", bound=CutoutProvider | BackgroundProvider)


class _Guarded(Generic[Guarded]):
    def __init__(self, provider: Guarded, guard: Guard) -> None:
        self._provider = provider
        self._guard = guard
        self.name = provider.name

    async def aclose(self) -> None:
        """Close connections."""
        await self._provider.aclose()


class GuardedCutouts(_Guarded[CutoutProvider]):
    """A provider of cut-outs behind a guard."""

    def cutout_parameters(self) -> Mapping[str, str]:
        """The provider's."""
        return self._provider.cutout_parameters()

    def cutout_price(self) -> Decimal:
        """The provider's, in USD."""
        return self._provider.cutout_price()

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Cut the product out.

        Raises:
            ServiceDownError: The provider is down. Else as the provider says.
        """
        async with self._guard.call():
            return await self._provider.remove_background(original, purchase)


class GuardedBackgrounds(_Guarded[BackgroundProvider]):
    """A provider of backgrounds behind a guard."""

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The provider's."""
        return self._provider.background_parameters(request)

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """The provider's, in USD."""
        return self._provider.background_price(request)

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Make a background.

        Raises:
            ServiceDownError: The provider is down. Else as the provider says.
        """
        async with self._guard.call():
            return await self._provider.generate_background(request, purchase)
