"""The simulator of Photoroom: two hosts, each with its own shape of errors.

As its OpenAPI 3.1 of 2026 has it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.providers.base import (
    ProviderStandIn,
    keyed,
    look_whole,
    multipart,
    wrong_fields,
)

KEY: Final = "photoroom-simulator-key"
PRICES: Final = {"cutout": Decimal("0.02"), "background": Decimal("0.10")}
MAX_BYTES: Final = 30_000_000

_TRUTH: Final = ("true", "false")
_SEGMENT: Final = {
    "format": ("png", "jpg", "webp"),
    "channels": ("rgba", "alpha"),
    "bg_color": str,
    "size": ("preview", "medium", "hd", "full"),
    "crop": _TRUTH,
    "despill": _TRUTH,
}
_SIZES: Final = {
    "LANDSCAPE_16_9": (1024, 576),
    "LANDSCAPE_4_3": (1024, 768),
    "PORTRAIT_16_9": (576, 1024),
    "PORTRAIT_4_3": (768, 1024),
    "SQUARE_HD": (1024, 1024),
}
_EDIT: Final = {
    "imageFromPrompt.prompt": str,
    "imageFromPrompt.seed": str.isdigit,
    "imageFromPrompt.size": tuple(_SIZES),
    "removeBackground": _TRUTH,
    "export.format": ("png", "jpeg", "jpg", "webp"),
}


class StandIn(ProviderStandIn):
    """One account. The answer `ignored` is a picture made without heeding a parameter."""

    provider = "photoroom"
    path = "photoroom"

    def router(self) -> APIRouter:
        """The routes under ``/photoroom``."""
        # A missing key and an empty balance look alike.
        refuse = keyed("x-api-key", KEY, lambda _: _edit_error(403, "Unauthorized"))
        routes = APIRouter(route_class=self.traffic.route_class(refuse))
        routes.post("/sdk/v1/segment", name="photoroom.segment")(self._segment)
        routes.post("/image-api/v2/edit", name="photoroom.edit")(self._edit)
        routes.get("/image-api/v2/account", name="photoroom.account")(self._account)
        return routes

    async def _account(self, request: Request) -> Response:
        left = 0 if self.out_of_money else 1000
        return JSONResponse({"images": {"available": left, "subscription": 1000}, "plan": "plus"})

    async def _segment(self, request: Request) -> Response:
        if self.too_many(60, 60):
            return _segment_error(429, "rate_limited", "Too many requests.")
        if self.out_of_money:
            return _edit_error(403, "Unauthorized")
        form = await multipart(request)
        if form is None or set(form.files) != {"image_file"}:
            return _segment_error(400, "missing_image", "Please provide an image.")
        wrong = wrong_fields(form.fields, _SEGMENT)
        data = form.files["image_file"]
        if wrong or len(data) > MAX_BYTES or await look_whole(data) is None:
            says = wrong[0] if wrong else "The image cannot be read."
            return _segment_error(400, "invalid_request", says)
        self.charge("segment", "cutout", PRICES["cutout"])
        headers = {"x-uncertainty-score": "-1" if self.ending() == "people" else "0.05"}
        return Response(await self.cut(data), media_type="image/png", headers=headers)

    async def _edit(self, request: Request) -> Response:
        if self.too_many(60, 60):
            return _edit_error(429, "Too many requests")
        if self.out_of_money:
            detail = "API credits exhausted. Please upgrade your plan."
            return JSONResponse({"error": {"detail": detail}}, 402)
        form = await multipart(request)
        prompt = "" if form is None else form.fields.get("imageFromPrompt.prompt", "")
        if form is None or form.files or not prompt:
            return _edit_error(400, "imageFromPrompt.prompt must be given, and no imageFile")
        wrong = wrong_fields(form.fields, _EDIT)
        if wrong:
            return _edit_error(400, wrong[0])
        size = _SIZES[form.fields.get("imageFromPrompt.size", "SQUARE_HD")]
        made = await self.painted(prompt, *size)
        self.charge("edit", "background", PRICES["background"])
        ignored = self.ending() == "ignored"
        headers = {"pr-unsupported-attributes": "imageFromPrompt.seed"} if ignored else {}
        return Response(made, media_type="image/png", headers=headers)


def _segment_error(status: int, kind: str, says: str) -> Response:
    return JSONResponse({"detail": says, "status_code": status, "type": kind}, status)


def _edit_error(status: int, says: str) -> Response:
    return JSONResponse({"error": {"message": says}}, status)
