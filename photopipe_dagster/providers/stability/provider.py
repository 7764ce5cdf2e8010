"""Cut-outs and backgrounds by Stability AI's v2beta API, each answered by the picture itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import httpx

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Cutout,
    Original,
    ProviderContext,
    Purchase,
)
from photopipe_dagster.providers.remote import pictures
from photopipe_dagster.providers.remote.provider import RemoteProvider
from photopipe_dagster.providers.remote.ratios import nearest_ratio, ratios
from photopipe_dagster.providers.stability.settings import StabilitySettings

INPUT: Final = pictures.InputLimits(
    "Stability AI",
    10_000_000,  # the whole request may have 10 MiB
    pixels=4_194_304,
    side=64,
    formats=frozenset({"image/jpeg", "image/png", "image/webp"}),
)

_RATIOS: Final = ratios("1:1", "21:9", "16:9", "3:2", "5:4", "4:5", "2:3", "9:16", "9:21")
_STABLE: Final = "/v2beta/stable-image"


class Provider(RemoteProvider[StabilitySettings]):
    """One account at Stability AI."""

    name = "stability"

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context.settings.of(StabilitySettings), context)

    def cutout_parameters(self) -> Mapping[str, str]:
        """There is one model."""
        return {"api": "v2beta/remove-background"}

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Have the product cut out."""
        data, content_type = await asyncio.to_thread(pictures.uploadable, original, INPUT)
        photo = (f"photo.{content_type.partition('/')[2]}", data, content_type)
        png = await self._made("/edit/remove-background", ErrorCode.SEGMENTATION_ERROR, image=photo)
        return await self.cutout(png, original, "stability/remove-background")

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The model, the prompt and the shape; size and seed are part of every recipe."""
        return {
            "model": self.own.stability_background_model,
            "prompt": request.theme.prompt,
            "ratio": nearest_ratio(request.width, request.height, _RATIOS),
        }

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """USD for one of the model in use."""
        return self.price(self.own.background_article)

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Have a background made, from words alone."""
        model = self.own.stability_background_model
        png = await self._made(
            f"/generate/{model}",
            ErrorCode.BACKGROUND_ERROR,
            prompt=request.theme.prompt,
            aspect_ratio=nearest_ratio(request.width, request.height, _RATIOS),
            seed=str(request.seed or 1),  # 0 is a random one
        )
        return await self.background(png, f"stability/{model}", seed=request.seed)

    async def _made(
        self, path: str, code: ErrorCode, **fields: str | tuple[str, bytes, str]
    ) -> bytes:
        """The picture that comes of a form. It is a multipart one even where it holds no file."""
        parts = {
            name: (None, value.encode()) if isinstance(value, str) else value
            for name, value in {**fields, "output_format": "png"}.items()
        }
        response = await self.api.ask(
            "POST",
            f"{_STABLE}{path}",
            paid=True,
            code=code,
            files=parts,
            headers={"Accept": "image/*"},
            timeout=httpx.Timeout(120.0, connect=5.0),
        )
        if response.headers.get("finish-reason") == "CONTENT_FILTERED":
            raise self.filtered(code)
        return self.picture_in(response)
