"""The simulator of Gemini's images: a picture among the parts of an answer, or none.

As the types of Google's own client and clients of 2026 have it.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.providers.base import ProviderStandIn, keyed, wrong_fields

KEY: Final = "sandbox-gemini-key"
MODELS: Final = ("gemini-nano-banana-2.1", "gemini-3-pro-image", "gemini-3.1-flash-lite-image")
TOKENS: Final = {"1K": 1120, "2K": 1680, "4K": 3780}
"""Of a picture, by size."""

USD: Final = {"prompt": Decimal("1.50"), "picture": Decimal(30)}
"""Of a million tokens."""

_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_BODY: Final = {"contents": list, "generationConfig": dict}
_CONFIG: Final = {
    "responseModalities": (["IMAGE"], ["TEXT", "IMAGE"]),
    "imageConfig": dict,
    "candidateCount": (1,),
    "seed": int,
}
_IMAGE: Final = {"aspectRatio": _RATIOS, "imageSize": tuple(TOKENS)}


class StandIn(ProviderStandIn):
    """One project.

    The answer `PROMPT` blocks the prompt; `TEXT` answers with words alone; any other is the
    reason why there is no picture.
    """

    provider = "gemini"
    path = "gemini"

    def router(self) -> APIRouter:
        """The routes under ``/gemini``."""
        refuse = keyed("x-goog-api-key", KEY, lambda _: _error(403, "PERMISSION_DENIED", "no"))
        routes = APIRouter(prefix="/v1beta", route_class=self.traffic.route_class(refuse))
        routes.get("/models", name="gemini.models")(self._models)
        routes.post("/models/{model}:generateContent", name="gemini.generate")(self._generate)
        return routes

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"models": [{"name": f"models/{name}"} for name in MODELS]})

    async def _generate(self, request: Request, model: str) -> Response:
        if model not in MODELS:
            return _error(404, "NOT_FOUND", f"models/{model} is not found")
        try:
            body = await request.json()
            wrong = wrong_fields(body, _BODY)
            config = body.get("generationConfig", {})
            wrong += wrong_fields(config, _CONFIG)
            shape = config.get("imageConfig", {})
            wrong += wrong_fields(shape, _IMAGE)
            prompt = body["contents"][0]["parts"][0]["text"]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            wrong = ["contents: is required"]
        if wrong:
            return _error(400, "INVALID_ARGUMENT", wrong[0])
        if self.out_of_money:
            return _error(400, "FAILED_PRECONDITION", "Billing is not enabled")
        ending, tokens = self.ending(), TOKENS[shape.get("imageSize", "1K")]
        used: dict[str, Any] = {"promptTokenCount": 12, "candidatesTokenCount": 0}
        if ending == "PROMPT":
            blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": used}
            return JSONResponse(blocked | {"modelVersion": model})
        if ending is not None:
            content = {"role": "model", "parts": [{"text": "Here it is."}]}
            reason = "STOP" if ending == "TEXT" else ending
            without = {"content": content, "finishReason": reason, "index": 0}
            return JSONResponse({"candidates": [without], "usageMetadata": used})
        usd = (USD["prompt"] * 12 + USD["picture"] * tokens) / 1_000_000
        self.charge(model, "background", usd)
        png = await self.painted(prompt, 1024, 1024)
        inline = {"mimeType": "image/png", "data": base64.b64encode(png).decode()}
        thought = {"inlineData": {"mimeType": "image/png", "data": "aGFsZg=="}, "thought": True}
        parts = [{"text": "Here it is."}, {"inlineData": inline}, thought]
        made = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        used |= {
            "candidatesTokenCount": tokens,
            "totalTokenCount": 12 + tokens,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": tokens}],
        }
        return JSONResponse({"candidates": [made], "usageMetadata": used, "modelVersion": model})


def _error(status: int, word: str, says: str) -> Response:
    return JSONResponse({"error": {"code": status, "message": says, "status": word}}, status)
