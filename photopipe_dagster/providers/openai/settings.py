"""OpenAI's variables."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field, SecretStr

from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings


class OpenaiSettings(RemoteSettings):
    """How OpenAI is reached, which model makes backgrounds, and what it takes."""

    service = "OpenAI"
    prefix = "openai"
    articles = ("background", "million_text_tokens", "million_image_tokens")

    openai_api_key: SecretStr | None = Field(
        None, description="Key of the project, sk-…; must be set where openai is a provider."
    )
    openai_api_url: str = Field(
        "https://api.openai.com/v1", description="OpenAI's API. Production needs https."
    )
    openai_model: str = Field("gpt-image-2", description="The model that makes backgrounds.")
    openai_quality: Literal["low", "medium", "high"] = Field(
        "medium", description="low, medium or high: of backgrounds, and of their price."
    )
    openai_requests_per_minute: int = Field(
        5,
        ge=1,
        description="Pictures a minute, all photos of all processes together (see "
        "WORKER_PROCESSES); how many are allowed depends on the account's tier.",
    )
    openai_price_background_usd: Decimal = Field(
        Decimal("0.08"),
        ge=0,
        description="What a background takes at most, in USD: it is reserved, and what the answer "
        "says was used is booked. About 0.02 low, 0.07 medium, 0.19 high of 1024 × 1024.",
    )
    openai_price_million_text_tokens_usd: Decimal = Field(
        Decimal(5), ge=0, description="What a million tokens of words take, in USD."
    )
    openai_price_million_image_tokens_usd: Decimal = Field(
        Decimal(30), ge=0, description="What a million tokens of pictures take, in USD."
    )
    openai_price_changes: PriceChanges = Field(
        (), description="Other prices, each from a day on: 2027-01-01 million_image_tokens=24."
    )
