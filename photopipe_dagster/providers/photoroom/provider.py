"""Cut-outs and backgrounds by Photoroom, each answered by the picture itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Cutout,
    Original,
    ProviderContext,
    Purchase,
)
from photopipe_dagster.providers.photoroom.settings import PhotoroomSettings
from photopipe_dagster.providers.remote import pictures
from photopipe_dagster.providers.remote.provider import RemoteProvider
from photopipe_dagster.providers.remote.ratios import nearest_ratio

INPUT: Final = pictures.InputLimits(
    "Photoroom",
    30_000_000,
    pixels=25_000_000,
    formats=frozenset({"image/jpeg", "image/png", "image/webp"}),
)

_SHAPES: Final = {
    "LANDSCAPE_16_9": 16 / 9,
    "LANDSCAPE_4_3": 4 / 3,
    "PORTRAIT_16_9": 9 / 16,
    "PORTRAIT_4_3": 3 / 4,
    "SQUARE_HD": 1.0,
}


class Provider(RemoteProvider[PhotoroomSettings]):
    """One account at Photoroom."""

    name = "photoroom"

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context.settings.of(PhotoroomSettings), context)

    def cutout_parameters(self) -> Mapping[str, str]:
        """There is one model."""
        return {"api": "v1/segment", "size": "full"}

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Have the product cut out. It says how unsure it is, 0 to 1; -1 where people are in it."""
        data, content_type = await asyncio.to_thread(pictures.uploadable, original, INPUT)
        response = await self.api.ask(
            "POST",
            "/v1/segment",
            paid=True,
            code=ErrorCode.SEGMENTATION_ERROR,
            files={"image_file": ("photo", data, content_type)},
            data={"format": "png", "size": "full", "crop": "false", "despill": "false"},
        )
        facts = {"uncertainty": response.headers.get("x-uncertainty-score", "")}
        return await self.cutout(self.picture_in(response), original, "photoroom/segment", **facts)

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The prompt and the shape; size and seed are part of every recipe."""
        shape = nearest_ratio(request.width, request.height, _SHAPES)
        return {"api": "v2/imageFromPrompt", "prompt": request.theme.prompt, "shape": shape}

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Have a background made, from words alone."""
        fields = {
            "imageFromPrompt.prompt": request.theme.prompt,
            "imageFromPrompt.seed": str(request.seed),
            "imageFromPrompt.size": nearest_ratio(request.width, request.height, _SHAPES),
            "removeBackground": "false",
            "export.format": "png",
        }
        response = await self.api.ask(
            "POST",
            f"{self.own.photoroom_image_api_url.rstrip('/')}/v2/edit",
            paid=True,
            code=ErrorCode.BACKGROUND_ERROR,
            files={name: (None, value.encode()) for name, value in fields.items()},
        )
        ignored = response.headers.get("pr-unsupported-attributes")
        if ignored:  # the API has changed: the picture is not what was asked for
            wrong = "was made without heeding all that was asked"
            raise self.useless(wrong, ErrorCode.BACKGROUND_ERROR)
        return await self.background(self.picture_in(response), "photoroom/imageFromPrompt")
