"""The simulator of OpenAI's images: one request a picture, with the tokens that it took.

As its OpenAPI of August 2026 has it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.providers.base import ProviderStandIn, keyed, wrong_fields

KEY: Final = "sk-sandbox-openai"
MODELS: Final = ("gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5", "gpt-image-2")
TOKENS: Final = {"low": 300, "medium": 1568, "high": 6208}
"""Of a picture, by quality."""

USD: Final = {"words": Decimal(5), "picture": Decimal(30)}
"""Of a million tokens."""

_SIZES: Final = ("auto", "1024x1024", "1536x1024", "1024x1536")
_FIELDS: Final[Mapping[str, object]] = {
    "prompt": lambda text: isinstance(text, str) and 0 < len(text) <= 32_000,
    "model": str,
    "n": range(1, 11),
    "size": _SIZES,
    "quality": ("auto", *TOKENS),
    "background": ("auto", "opaque", "transparent"),
    "output_format": ("png", "jpeg", "webp"),
    "output_compression": range(101),
    "moderation": ("auto", "low"),
    "user": str,
}


class StandIn(ProviderStandIn):
    """One project. The answers `input` and `output` are blocked at that stage."""

    provider = "openai"
    path = "openai"

    def router(self) -> APIRouter:
        """The routes under ``/openai``."""
        refuse = keyed(
            "authorization",
            f"Bearer {KEY}",
            lambda _: _error(401, "invalid_api_key", "Incorrect API key provided."),
        )
        routes = APIRouter(prefix="/v1", route_class=self.traffic.route_class(refuse))
        routes.get("/models", name="openai.models")(self._models)
        routes.post("/images/generations", name="openai.generations")(self._generate)
        return routes

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": name} for name in MODELS]})

    async def _generate(self, request: Request) -> Response:
        try:
            body = await request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or "prompt" not in body:
            return _error(400, "missing_required_parameter", "Missing required parameter: 'prompt'")
        wrong = wrong_fields(body, _FIELDS)
        if wrong:
            return _error(400, "invalid_value", wrong[0])
        if body.get("model") not in MODELS:
            return _error(404, "model_not_found", "The model does not exist")
        if self.out_of_money:
            return _error(429, "insufficient_quota", "You exceeded your current quota")
        ending = self.ending()
        if ending == "input":
            return _blocked(ending)
        quality = body.get("quality", "auto")
        tokens = TOKENS["high" if quality == "auto" else quality]
        words = 20
        usd = (USD["words"] * words + USD["picture"] * tokens) / 1_000_000
        self.charge(body["model"], "background", usd)
        if ending == "output":
            return _blocked(ending)
        size = body.get("size", "auto")
        wide, _, high = ("1024x1024" if size == "auto" else size).partition("x")
        png = await self.painted(body["prompt"], int(wide), int(high))
        return JSONResponse(
            {
                "created": int(self.clock.timestamp()),
                "output_format": "png",
                "quality": quality,
                "size": size,
                "data": [{"b64_json": base64.b64encode(png).decode()}],
                "usage": {
                    "input_tokens": words,
                    "output_tokens": tokens,
                    "total_tokens": words + tokens,
                },
            }
        )


def _error(status: int, code: str, says: str) -> Response:
    kind = "invalid_request_error"
    return JSONResponse(
        {"error": {"message": says, "type": kind, "param": None, "code": code}}, status
    )


def _blocked(stage: str) -> Response:
    error = {
        "message": "Your request was rejected by the safety system.",
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
        "moderation_details": {"moderation_stage": stage, "categories": ["violence"]},
    }
    return JSONResponse({"error": error}, 400)
