"""Backgrounds by OpenAI's image models. They take no seed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import httpx
from pydantic import BaseModel, Field

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    ProviderContext,
    Purchase,
)
from photopipe_dagster.providers.openai.settings import OpenaiSettings
from photopipe_dagster.providers.remote.api import Api
from photopipe_dagster.providers.remote.errors import Answers, word_at
from photopipe_dagster.providers.remote.provider import RemoteProvider
from photopipe_dagster.providers.remote.ratios import nearest_ratio

_SIZES: Final = {"1024x1024": 1.0, "1536x1024": 1.5, "1024x1536": 2 / 3}
_MILLION: Final = Decimal(1_000_000)
_CODE: Final = ("error", "code")


class _Picture(BaseModel):
    b64_json: str = Field(min_length=1, repr=False)


class _Usage(BaseModel):
    input_tokens: int
    output_tokens: int


class _Answer(BaseModel):
    data: list[_Picture] = Field(min_length=1)
    usage: _Usage | None = None


class _Answers(Answers):
    def status(self, response: httpx.Response) -> int:
        """Out of money is 429 here, like too many requests."""
        out = response.status_code == 429 and word_at(response, *_CODE) == "insufficient_quota"
        return 402 if out else response.status_code


class Provider(RemoteProvider[OpenaiSettings]):
    """One project at OpenAI."""

    name = "openai"

    def __init__(self, context: ProviderContext) -> None:
        own = context.settings.of(OpenaiSettings)
        super().__init__(own, context, Api(own, context, answers=_Answers(own)))

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The model, its quality, the prompt and the size."""
        return {
            "model": self.own.openai_model,
            "quality": self.own.openai_quality,
            "prompt": request.theme.prompt,
            "size": nearest_ratio(request.width, request.height, _SIZES),
        }

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Have a background made, from words alone. What it says was used is booked."""
        asked = dict(self.background_parameters(request))
        prices = {article: self.price(article) for article in self.own.articles}
        response = await self.api.send(
            "POST",
            "/images/generations",
            paid=True,
            json={**asked, "n": 1, "output_format": "png", "background": "opaque"},
            timeout=httpx.Timeout(300.0, connect=5.0),
        )
        if response.is_error and word_at(response, *_CODE) == "moderation_blocked":
            raise self._blocked(response)
        self.api.raise_refusal(response, paid=True, code=ErrorCode.BACKGROUND_ERROR)
        answer = self.api.read(response, _Answer, paid=True)
        if answer.usage is not None:
            words = prices["million_text_tokens"] * answer.usage.input_tokens
            pictures = prices["million_image_tokens"] * answer.usage.output_tokens
            purchase.costs((words + pictures) / _MILLION)
        picture = self.picture_in(response, answer.data[0].b64_json)
        return await self.background(picture, f"openai/{asked['model']}")

    def _blocked(self, response: httpx.Response) -> ProviderError:
        """Where it was blocked before it was made, nothing is billed; else nobody knows."""
        early = b'"output"' not in response.content
        return self.filtered(ErrorCode.BACKGROUND_ERROR, Billed.NO if early else Billed.UNKNOWN)
