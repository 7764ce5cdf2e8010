"""Backgrounds by Gemini's image models. A refusal of what was asked is a 200 without a picture."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field
from pydantic.alias_generators import to_camel

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    ProviderContext,
    Purchase,
)
from photopipe_dagster.providers.gemini.settings import GeminiSettings
from photopipe_dagster.providers.remote.api import Api
from photopipe_dagster.providers.remote.errors import Answers, word_at
from photopipe_dagster.providers.remote.provider import RemoteProvider
from photopipe_dagster.providers.remote.ratios import nearest_ratio, ratios

_RATIOS: Final = ratios("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_ONLY: Final = " Answer with the final image only."
"""Without such a sentence, one answer in five was words alone."""

_SEEDS: Final = 2**31
_MILLION: Final = Decimal(1_000_000)


class _Said(BaseModel):
    model_config = {"alias_generator": to_camel}


class _Data(_Said):
    data: str = Field("", repr=False)


class _Part(_Said):
    inline_data: _Data | None = None
    thought: bool = False


class _Content(_Said):
    parts: list[_Part] = []


class _Candidate(_Said):
    content: _Content = _Content()
    finish_reason: str = ""


class _Feedback(_Said):
    block_reason: str = ""


class _Count(_Said):
    modality: str = ""
    token_count: int = 0


class _Usage(_Said):
    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    candidates_tokens_details: list[_Count] = []


class _Answer(_Said):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None


class _Answers(Answers):
    def status(self, response: httpx.Response) -> int:
        """Billing that is not set up is a 400 here."""
        word = word_at(response, "error", "status") or word_at(response, 0, "error", "status")
        return 402 if word == "FAILED_PRECONDITION" else response.status_code


class Provider(RemoteProvider[GeminiSettings]):
    """One project of Google's."""

    name = "gemini"

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(GeminiSettings)
        super().__init__(own, context, Api(own, context, answers=_Answers(own)))

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The model, the prompt, the shape and the size; the seed is part of every recipe."""
        return {
            "model": self.own.gemini_model,
            "prompt": request.theme.prompt + _ONLY,
            "ratio": nearest_ratio(request.width, request.height, _RATIOS),
            "image_size": self.own.gemini_image_size,
        }

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Have a background made, from words alone. What it says was used is booked."""
        asked = self.background_parameters(request)
        prices = {article: self.price(article) for article in self.own.articles}
        shape = {"aspectRatio": asked["ratio"], "imageSize": asked["image_size"]}
        body = {
            "contents": [{"role": "user", "parts": [{"text": asked["prompt"]}]}],
            "generationConfig": {
                "responseModalities": ["IMAGE"],
                "imageConfig": shape,
                "candidateCount": 1,
                "seed": request.seed % _SEEDS,
            },
        }
        response = await self.api.ask(
            "POST",
            f"/models/{quote(asked['model'], safe='')}:generateContent",
            paid=True,
            code=ErrorCode.BACKGROUND_ERROR,
            json=body,
            timeout=httpx.Timeout(180.0, connect=5.0),
        )
        answer = self.api.read(response, _Answer, paid=True)
        if answer.usage_metadata is not None:
            purchase.costs(_cost(answer.usage_metadata, prices))
        pictures = [
            part.inline_data.data
            for candidate in answer.candidates
            for part in candidate.content.parts
            if part.inline_data is not None and not part.thought
        ]
        if not pictures:
            raise self._without_picture(answer, response)
        picture = self.picture_in(response, pictures[-1])
        return await self.background(picture, f"gemini/{asked['model']}")

    def _without_picture(self, answer: _Answer, response: httpx.Response) -> ProviderError:
        """What was used of tokens is billed; where the answer does not say, nobody knows."""
        reasons = [each.finish_reason for each in answer.candidates if each.finish_reason]
        if answer.prompt_feedback is not None:
            reasons.append(answer.prompt_feedback.block_reason)
        if not reasons:
            return self.api.answers.unexpected(response, ["no picture"], paid=True)
        used, code = answer.usage_metadata, ErrorCode.BACKGROUND_ERROR
        billed = Billed.UNKNOWN
        if used is not None:
            billed = Billed.YES if used.candidates_token_count else Billed.NO
        if reasons[-1] in ("STOP", "MAX_TOKENS", "NO_IMAGE"):
            return self.useless(f"is missing ({reasons[-1]})", code, billed)
        return self.filtered(code, billed, reason=reasons[-1])


def _cost(used: _Usage, prices: Mapping[str, Decimal]) -> Decimal:
    """USD of the tokens of an answer."""
    pictures = sum(
        each.token_count for each in used.candidates_tokens_details if each.modality == "IMAGE"
    )
    words = used.candidates_token_count - pictures + used.thoughts_token_count
    return (
        prices["million_prompt_tokens"] * used.prompt_token_count
        + prices["million_text_tokens"] * words
        + prices["million_image_tokens"] * pictures
    ) / _MILLION
