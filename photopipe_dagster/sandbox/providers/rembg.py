"""The simulator of a cut-out server of one's own: rembg's, behind a key, for money.

As `rembg s` serves it (rembg 2.0): a form with the file and options, and a PNG for an answer; what
it cannot validate is FastAPI's 422.
"""

from __future__ import annotations

import asyncio
import hmac
import io
from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.datastructures import UploadFile

from photopipe_dagster.sandbox.pictures import NotAPictureError, encode, look
from photopipe_dagster.sandbox.providers.base import ProviderStandIn

KEY: Final = "sandbox-rembg-key"
"""Opens no door but this one."""

PRICE_USD: Final = Decimal("0.01")

MODELS: Final = ("u2net", "u2netp", "isnet-general-use", "birefnet-general", "silueta")
OPTIONS: Final = frozenset({"model", "a", "af", "ab", "ae", "om", "ppm", "bgc", "extras"})


class StandIn(ProviderStandIn):
    """The server, which keeps nothing but its books."""

    provider = "http"
    path = "rembg"

    def router(self) -> APIRouter:
        """The routes under ``/rembg``."""
        routes = APIRouter(route_class=self.traffic.route_class(_refusal))
        routes.post("/api/remove", name="rembg.remove")(self._remove)
        routes.get("/health", name="rembg.health")(self._health)
        return routes

    async def _remove(self, request: Request) -> Response:
        photo = await _photo(request)
        if isinstance(photo, str):
            return JSONResponse({"detail": [{"loc": ["body"], "msg": photo}]}, 422)
        data, only_mask = photo
        png = await asyncio.to_thread(self.config.cut_out, data)
        if only_mask:
            png = await asyncio.to_thread(_alpha, png)
        self.charge("remove", "cutout", PRICE_USD)
        return Response(png, media_type="image/png")

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})


def _refusal(request: Request) -> Response | None:
    given, wanted = request.headers.get("authorization", ""), f"Bearer {KEY}"
    if hmac.compare_digest(given.encode(), wanted.encode()):
        return None
    return JSONResponse({"detail": "Not authenticated"}, 401)


async def _photo(request: Request) -> tuple[bytes, bool] | str:
    """The photo and whether its mask alone is wanted, or what is wrong."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return "Field required: file"
    form = await request.form()
    files = form.getlist("file")
    if len(files) != 1 or not isinstance(files[0], UploadFile):
        return "Field required: file, once"
    unknown = sorted(set(form) - OPTIONS - {"file"})
    if unknown:
        return f"Unknown field: {unknown[0]}"
    if form.get("model", MODELS[0]) not in MODELS:
        return f"String should match pattern '({'|'.join(MODELS)})'"
    data = await files[0].read()
    try:
        await asyncio.to_thread(look, data, whole=True)
    except NotAPictureError:
        return "The file is not an image"
    return data, form.get("om") == "true"


def _alpha(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as cutout:
        return encode(cutout.getchannel("A"), "PNG")
