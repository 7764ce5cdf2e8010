"""Cut-outs by remove.bg: above 10 megapixels as colour and alpha apart, in a ZIP."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import httpx
import numpy as np
from PIL import Image

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.imaging.png import encode_cutout
from photopipe_dagster.providers.base import Cutout, Original, ProviderContext, Purchase
from photopipe_dagster.providers.remote import pictures
from photopipe_dagster.providers.remote.downloads import MAX_RESULT_BYTES
from photopipe_dagster.providers.remote.provider import RemoteProvider
from photopipe_dagster.providers.removebg.settings import RemovebgSettings

INPUT: Final = pictures.InputLimits(
    "remove.bg",
    22_000_000,
    pixels=25_000_000,
    formats=frozenset({"image/jpeg", "image/png", "image/webp"}),
)

_PNG_PIXELS: Final = 10_000_000


class Provider(RemoteProvider[RemovebgSettings]):
    """One account at remove.bg."""

    name = "removebg"

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context.settings.of(RemovebgSettings), context)

    def cutout_parameters(self) -> Mapping[str, str]:
        """What is cut out is looked for, and never made smaller for want of credits."""
        return {"api": "v1.0/removebg", "type": "product", "size": "full"}

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Have the product cut out. The credits that the answer says it took are booked."""
        data, content_type = await asyncio.to_thread(pictures.uploadable, original, INPUT)
        large = original.width * original.height > _PNG_PIXELS
        price = self.cutout_price()
        response = await self.api.ask(
            "POST",
            "/v1.0/removebg",
            paid=True,
            code=ErrorCode.SEGMENTATION_ERROR,
            files={"image_file": ("photo", data, content_type)},
            data={"size": "full", "type": "product", "format": "zip" if large else "png"},
            headers={"Accept": "image/*"},
        )
        charged = response.headers.get("x-credits-charged", "")
        try:
            purchase.costs(price * Decimal(charged))
        except InvalidOperation:
            charged = "unknown"
        if large and response.content.startswith(b"PK"):
            png = await asyncio.to_thread(self._joined, response)
        else:
            png = self.picture_in(response)
        facts = {"type": response.headers.get("x-type", ""), "credits": charged}
        return await self.cutout(png, original, "remove.bg", **facts)

    def _joined(self, response: httpx.Response) -> bytes:
        """Colour and alpha of a ZIP, as one PNG."""
        try:
            with zipfile.ZipFile(io.BytesIO(response.content)) as packed:
                names = ("color.jpg", "alpha.png")
                if any(packed.getinfo(name).file_size > MAX_RESULT_BYTES for name in names):
                    raise ValueError("too large")
                color, alpha = (Image.open(io.BytesIO(packed.read(name))) for name in names)
                if (
                    color.size != alpha.size
                    or color.width * color.height > pictures.MAX_RESULT_PIXELS
                ):
                    raise ValueError("sizes")
                rgba = np.dstack([np.asarray(color.convert("RGB")), np.asarray(alpha.convert("L"))])
        except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise self.api.answers.unexpected(
                response, ["a ZIP without color.jpg and alpha.png"], paid=True
            ) from error
        return encode_cutout(rgba)
