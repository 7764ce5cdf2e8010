"""The simulator of Stability AI's v2beta: forms with a picture or its bytes as JSON for an answer.

As its OpenAPI and recorded answers have it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.charges import Job
from photopipe_dagster.sandbox.providers.base import (
    Form,
    ProviderStandIn,
    keyed,
    look_whole,
    multipart,
    wrong_fields,
)

KEY: Final = "sk-sandbox-stability"
MAX_BYTES: Final = 10 * 1024 * 1024
PIXELS: Final = range(4096, 4_194_305)
PRICES: Final = {
    "remove-background": Decimal("0.05"),
    "core": Decimal("0.03"),
    "ultra": Decimal("0.08"),
}

_RATIOS: Final = ("1:1", "21:9", "16:9", "3:2", "5:4", "4:5", "2:3", "9:16", "9:21")
_FORMATS: Final = ("png", "webp")
_TEXT: Final[Mapping[str, object]] = {
    "prompt": lambda text: 0 < len(text) <= 10_000,
    "negative_prompt": lambda text: len(text) <= 10_000,
    "aspect_ratio": _RATIOS,
    "seed": lambda text: text.isdigit() and int(text) <= 4_294_967_294,
    "output_format": ("png", "jpeg", "webp"),
}


class StandIn(ProviderStandIn):
    """One account. The answer `filtered` is a picture that its filter has blurred."""

    provider = "stability"
    path = "stability"

    def router(self) -> APIRouter:
        """The routes under ``/stability``."""
        refuse = keyed("authorization", f"Bearer {KEY}", lambda _: _error(401, "unauthorized", ""))
        routes = APIRouter(route_class=self.traffic.route_class(refuse))
        stable = "/v2beta/stable-image"
        routes.get("/v1/user/balance", name="stability.balance")(self._balance)
        routes.post(f"{stable}/edit/remove-background", name="stability.remove-background")(
            self._remove
        )
        routes.post(f"{stable}/generate/core", name="stability.core")(self._core)
        routes.post(f"{stable}/generate/ultra", name="stability.ultra")(self._ultra)
        return routes

    async def _balance(self, request: Request) -> Response:
        return JSONResponse({"credits": 0.0 if self.out_of_money else 1000.0})

    async def _remove(self, request: Request) -> Response:
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        wrong = wrong_fields(form.fields, {"output_format": _FORMATS})
        if wrong or set(form.files) != {"image"}:
            return _error(400, "bad_request", wrong[0] if wrong else "image: is required")
        data = form.files["image"]
        facts = await look_whole(data)
        if facts is None:
            return _error(400, "bad_request", "image: is no image")
        if min(facts.width, facts.height) < 64 or facts.width * facts.height not in PIXELS:
            return _error(400, "bad_request", "image: pixels")
        return await self._sold(request, "remove-background", "cutout", await self.cut(data))

    async def _core(self, request: Request) -> Response:
        return await self._generate(request, "core", {"style_preset": str})

    async def _ultra(self, request: Request) -> Response:
        return await self._generate(request, "ultra", {})

    async def _generate(self, request: Request, model: str, more: Mapping[str, object]) -> Response:
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        wrong = wrong_fields(form.fields, {**_TEXT, **more})
        if wrong or form.files or "prompt" not in form.fields:
            return _error(400, "bad_request", wrong[0] if wrong else "prompt: is required")
        made = await self.painted(form.fields["prompt"], 1024, 1024)
        return await self._sold(request, model, "background", made)

    async def _form(self, request: Request) -> Form | Response:
        """The form, or what is wrong with the request itself."""
        if self.too_many(150, 10):
            return _error(429, "rate_limit_exceeded", "You have exceeded the rate limit")
        if len(await request.body()) > MAX_BYTES:
            return _error(413, "payload_too_large", "The request is larger than 10MiB")
        form = await multipart(request)
        if form is None:
            return _error(400, "bad_request", "content-type: must be multipart/form-data")
        if request.headers.get("accept", "*/*") not in ("*/*", "image/*", "application/json"):
            return _error(400, "bad_request", "accept: must be image/* or application/json")
        if self.out_of_money:
            says = "You lack sufficient credits to make this request."
            return _error(402, "payment_required", says)
        return form

    async def _sold(self, request: Request, operation: str, job: Job, png: bytes) -> Response:
        ending = self.ending()
        if ending == "moderated":
            return _error(403, "content_moderation", "Your request was flagged. Not charged.")
        self.charge(operation, job, PRICES[operation])
        finish = "CONTENT_FILTERED" if ending == "filtered" else "SUCCESS"
        if request.headers.get("accept") == "application/json":
            image = base64.b64encode(png).decode()
            body = {"image": image, "finish_reason": finish, "seed": 7}
            return JSONResponse(body, media_type="application/json; type=image/png")
        headers = {"finish-reason": finish, "seed": "7", "x-request-id": secrets.token_hex(16)}
        return Response(png, media_type="image/png", headers=headers)


def _error(status: int, name: str, says: str) -> Response:
    return JSONResponse({"id": secrets.token_hex(16), "name": name, "errors": [says]}, status)
