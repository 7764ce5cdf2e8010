"""Gemini's variables."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field, SecretStr

from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings


class GeminiSettings(RemoteSettings):
    """How Gemini is reached, which model makes backgrounds, and what it takes."""

    service = "Gemini"
    prefix = "gemini"
    header = "x-goog-api-key: {}"
    articles = (
        "background",
        "million_prompt_tokens",
        "million_text_tokens",
        "million_image_tokens",
    )

    gemini_api_key: SecretStr | None = Field(
        None, description="Key of the project; must be set where gemini is a provider."
    )
    gemini_api_url: str = Field(
        "https://generativelanguage.googleapis.com/v1beta",
        description="Gemini's API. Production needs https.",
    )
    gemini_model: str = Field(
        "gemini-nano-banana-2.1",
        description="The model that makes backgrounds; models are shut down within a year or two.",
    )
    gemini_image_size: Literal["1K", "2K", "4K"] = Field(
        "1K", description="1K, 2K or 4K: of backgrounds, and of their price."
    )
    gemini_requests_per_minute: int = Field(
        10,
        ge=1,
        description="Pictures a minute, all photos of all processes together (see "
        "WORKER_PROCESSES); how many are allowed depends on the project's tier.",
    )
    gemini_price_background_usd: Decimal = Field(
        Decimal("0.04"),
        ge=0,
        description="What a background takes at most, in USD: it is reserved, and what the answer "
        "says was used is booked. 0.0336 of 1K, 0.1134 of 4K.",
    )
    gemini_price_million_prompt_tokens_usd: Decimal = Field(
        Decimal("1.50"), ge=0, description="What a million tokens of prompts take, in USD."
    )
    gemini_price_million_text_tokens_usd: Decimal = Field(
        Decimal("7.50"), ge=0, description="What a million tokens of answered words take, in USD."
    )
    gemini_price_million_image_tokens_usd: Decimal = Field(
        Decimal(30), ge=0, description="What a million tokens of pictures take, in USD."
    )
    gemini_price_changes: PriceChanges = Field(
        (), description="Other prices, each from a day on: 2027-01-01 million_image_tokens=24."
    )
