"""Makes pure white backgrounds, for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import numpy as np

from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Purchase,
)

_MODEL: Final = "white/1"


class WhiteProvider:
    """Makes backgrounds that are 255 in every channel, and nothing else."""

    name = "white"

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """Its version."""
        return {"model": _MODEL}

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """Nothing, USD."""
        return Decimal(0)

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Make a white picture of exactly the size asked for."""
        data = await asyncio.to_thread(_white, request.width, request.height)
        return Background(data=data, content_type="image/jpeg", model=_MODEL)

    async def aclose(self) -> None:
        """There is nothing to close."""


def _white(width: int, height: int) -> bytes:
    return encode_jpeg(np.full((height, width, 3), 255, np.uint8))
