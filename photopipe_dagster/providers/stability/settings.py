"""Stability AI's variables."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from pydantic import Field, SecretStr

from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings


class StabilitySettings(RemoteSettings):
    """How Stability AI is reached, what is asked of it, and what it takes."""

    service = "Stability AI"
    prefix = "stability"
    articles = ("cutout", "background_core", "background_ultra")

    stability_api_key: SecretStr | None = Field(
        None, description="Key of the account, sk-…; must be set where stability is a provider."
    )
    stability_api_url: str = Field(
        "https://api.stability.ai", description="Stability AI's API. Production needs https."
    )
    stability_background_model: Literal["core", "ultra"] = Field(
        "core", description="Stable Image Core (1.5 megapixels) or Ultra (1 megapixel)."
    )
    stability_requests_per_minute: int = Field(
        600,
        ge=1,
        description="Pictures a minute, all photos of all processes together (see "
        "WORKER_PROCESSES); above 900 the account is blocked for a minute.",
    )
    stability_price_cutout_usd: Decimal = Field(
        Decimal("0.05"), ge=0, description="What a cut-out takes, in USD: 5 credits since 2025-08."
    )
    stability_price_background_core_usd: Decimal = Field(
        Decimal("0.03"), ge=0, description="What a background by Core takes, in USD: 3 credits."
    )
    stability_price_background_ultra_usd: Decimal = Field(
        Decimal("0.08"), ge=0, description="What a background by Ultra takes, in USD: 8 credits."
    )
    stability_price_changes: PriceChanges = Field(
        (), description="Other prices, each from a day on: 2027-01-01 cutout=0.04."
    )

    def first_prices(self) -> Mapping[str, Decimal]:
        """Those of the model in use."""
        prices = super().first_prices()
        return {name: prices[name] for name in ("cutout", self.background_article)}

    @property
    def background_article(self) -> str:
        """What a background of the model in use is called among the prices."""
        return f"background_{self.stability_background_model}"
