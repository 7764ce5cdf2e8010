"""The simulator of a cut-out server of one's own: rembg's, behind a key, for money.

As `rembg s` serves it (rembg 2.0): a form with the file and options, and a PNG for an answer; what
it cannot validate is FastAPI's 422.
"""

from __future__ import annotations

import asyncio
import io
from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image

from photopipe_dagster.sandbox.pictures import encode
from photopipe_dagster.sandbox.providers.base import (
    ProviderStandIn,
    keyed,
    look_whole,
    multipart,
    wrong_fields,
)

KEY: Final = "sandbox-rembg-key"
"""Opens no door but this one."""

PRICE_USD: Final = Decimal("0.01")

MODELS: Final = ("u2net", "u2netp", "isnet-general-use", "birefnet-general", "silueta")
OPTIONS: Final = dict.fromkeys(("a", "af", "ab", "ae", "om", "ppm", "bgc", "extras"), str)


class StandIn(ProviderStandIn):
    """The server, which keeps nothing but its books."""

    provider = "http"
    path = "rembg"

    def router(self) -> APIRouter:
        """The routes under ``/rembg``."""
        routes = APIRouter(
            route_class=self.traffic.route_class(keyed("authorization", f"Bearer {KEY}", _refusal))
        )
        routes.post("/api/remove", name="rembg.remove")(self._remove)
        routes.get("/health", name="rembg.health")(self._health)
        return routes

    async def _remove(self, request: Request) -> Response:
        form = await multipart(request)
        if form is None or set(form.files) != {"file"}:
            return _invalid("Field required: file, once")
        wrong = wrong_fields(form.fields, OPTIONS | {"model": MODELS})
        if wrong:
            return _invalid(wrong[0])
        if await look_whole(form.files["file"]) is None:
            return _invalid("The file is not an image")
        png = await self.cut(form.files["file"])
        if form.fields.get("om") == "true":
            png = await asyncio.to_thread(_alpha, png)
        self.charge("remove", "cutout", PRICE_USD)
        return Response(png, media_type="image/png")

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})


def _refusal(_: bool) -> Response:
    return JSONResponse({"detail": "Not authenticated"}, 401)


def _invalid(says: str) -> Response:
    return JSONResponse({"detail": [{"loc": ["body"], "msg": says}]}, 422)


def _alpha(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as cutout:
        return encode(cutout.getchannel("A"), "PNG")
