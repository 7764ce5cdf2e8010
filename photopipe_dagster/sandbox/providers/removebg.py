"""The simulator of remove.bg: one request a cut-out, PNG to 10 megapixels and ZIP above.

As its documentation of 2025 and recorded answers have it.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image

from photopipe_dagster.sandbox.pictures import encode, shrink
from photopipe_dagster.sandbox.providers.base import (
    ProviderStandIn,
    keyed,
    look_whole,
    multipart,
    wrong_fields,
)

KEY: Final = "sandbox-removebg-key"
PRICE_USD: Final = Decimal("0.20")
"""Of a credit."""

MAX_BYTES: Final = 22_000_000
MAX_PIXELS: Final = 50_000_000
PREVIEW_PIXELS: Final = 250_000
SIZES: Final = {"preview": PREVIEW_PIXELS, "small": PREVIEW_PIXELS, "full": 25_000_000}
PNG_PIXELS: Final = 10_000_000

_SOURCES: Final = ("image_file", "image_url", "image_file_b64")
_FIELDS: Final = {
    "size": ("preview", "small", "full", "auto"),
    "type": ("auto", "person", "product", "car", "animal", "graphic", "transportation"),
    "type_level": ("none", "1", "2", "latest"),
    "format": ("auto", "png", "jpg", "webp", "zip"),
    "channels": ("rgba", "alpha"),
    "crop": ("true", "false"),
    "semitransparency": ("true", "false"),
}


class StandIn(ProviderStandIn):
    """One account. The answer `unknown_foreground` is a photo without a product."""

    provider = "removebg"
    path = "removebg"

    def router(self) -> APIRouter:
        """The routes under ``/removebg``."""
        refuse = keyed("x-api-key", KEY, lambda _: _error(403, "auth_failed", "API Key invalid"))
        routes = APIRouter(route_class=self.traffic.route_class(refuse))
        routes.get("/v1.0/account", name="removebg.account")(self._account)
        routes.post("/v1.0/removebg", name="removebg.remove")(self._remove)
        return routes

    async def _account(self, request: Request) -> Response:
        left = 0 if self.out_of_money else 1000
        owned = {"total": left, "subscription": left, "payg": 0, "enterprise": 0}
        api = {"free_calls": 50, "sizes": "all"}
        return JSONResponse({"data": {"attributes": {"credits": owned, "api": api}}})

    async def _remove(self, request: Request) -> Response:
        if self.too_many(500, 60):
            answer = _error(429, "rate_limit_exceeded", "Rate limit exceeded")
            answer.headers["retry-after"] = "5"
            answer.headers["x-ratelimit-limit"] = "500"
            answer.headers["x-ratelimit-remaining"] = "0"
            return answer
        form = await multipart(request)
        sources = [] if form is None else [name for name in _SOURCES if name in form.names]
        if form is None or not sources:
            return _error(400, "missing_source", "No image given")
        if len(sources) > 1:
            return _error(400, "multiple_sources", "Multiple image sources given")
        if sources != ["image_file"]:  # this one fetches nothing
            title = "Failed to download image from given image_url: HTTP Status 404"
            return JSONResponse({"errors": [{"title": title}]}, 400)
        wrong = wrong_fields(form.fields, _FIELDS)
        if wrong:
            name = wrong[0].partition(":")[0]
            return _error(400, f"invalid_{name}", f"{name} is not valid")
        return await self._cut(form.files["image_file"], dict(form.fields))

    async def _cut(self, data: bytes, fields: dict[str, str]) -> Response:
        if len(data) > MAX_BYTES:
            return _error(400, "file_too_large", "File too large")
        facts = await look_whole(data)
        if facts is None:
            return _error(400, "failed_to_read_image", "Failed to read image")
        pixels = facts.width * facts.height
        if pixels > MAX_PIXELS:
            return _error(400, "resolution_too_high", "Resolution too high")
        size = fields.get("size", "preview")
        if size == "auto":  # the largest that the balance allows
            size = "preview" if self.out_of_money else "full"
        if self.out_of_money and size == "full":
            return _error(402, "insufficient_credits", "Insufficient credits")
        if self.ending() == "unknown_foreground":
            return _error(400, "unknown_foreground", "Could not identify foreground in image")
        kind = fields.get("format", "auto")
        most = SIZES[size] if kind == "zip" else min(SIZES[size], PNG_PIXELS)
        png = await asyncio.to_thread(shrink, await self.cut(data), most)
        charged = Decimal("0.25") if size != "full" else Decimal(1)
        self.charge("removebg", "cutout", PRICE_USD * charged)
        with Image.open(io.BytesIO(png)) as cutout:
            width, height = cutout.size
            body = await asyncio.to_thread(_zip, cutout) if kind == "zip" else png
        headers = {
            "X-Width": str(width),
            "X-Height": str(height),
            "X-Type": "product",
            "X-Credits-Charged": str(charged),
            "X-RateLimit-Limit": "500",
        }
        media = "application/zip" if kind == "zip" else "image/png"
        return Response(body, media_type=media, headers=headers)


def _zip(cutout: Image.Image) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("color.jpg", encode(cutout.convert("RGB"), "JPEG"))
        archive.writestr("alpha.png", encode(cutout.getchannel("A"), "PNG"))
    return packed.getvalue()


def _error(status: int, code: str, title: str) -> Response:
    return JSONResponse({"errors": [{"title": title, "code": code}]}, status)
