"""Replicate's variables."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from pydantic import Field, SecretStr

from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings
from photopipe_dagster.providers.replicate.models import background_model, cutout_model

_VERSION: Final = "a029dff38972b5fda4ec5d75d7d1cd25aeff621d2cf4946a41055d7db66b80bc"


class ReplicateSettings(RemoteSettings):
    """How Replicate is reached, which models it runs for us, and what they take."""

    service = "Replicate"
    prefix = "replicate"
    key_name = "api_token"
    rate_name = "orders_per_minute"

    replicate_api_token: SecretStr | None = Field(
        None,
        description="Token of the account, r8_…; must be set where replicate is a provider.",
    )
    replicate_api_url: str = Field(
        "https://api.replicate.com/v1", description="Replicate's API. Production needs https."
    )
    replicate_cutout_model: str = Field(
        f"851-labs/background-remover:{_VERSION}",
        description="851-labs/background-remover or lucataco/remove-bg, with the version that it "
        "is pinned to, or bria/remove-background.",
    )
    replicate_background_model: str = Field(
        "black-forest-labs/flux-schnell",
        description="black-forest-labs/flux-schnell, flux-dev, flux-1.1-pro or flux-1.1-pro-ultra.",
    )
    replicate_orders_per_minute: int = Field(
        300,
        ge=1,
        description="Predictions a minute, all photos of all processes together (see "
        "WORKER_PROCESSES); 600 are allowed, and 6 to an account without a means of payment.",
    )
    replicate_poll_seconds: float = Field(
        1.0, gt=0, description="Seconds between two looks at what is being made."
    )
    replicate_task_timeout_seconds: float = Field(
        300.0, ge=5, description="Seconds that one try waits; Replicate stops it a minute later."
    )
    replicate_price_cutout_usd: Decimal = Field(
        Decimal("0.001"),
        ge=0,
        description="What a cut-out takes at most, in USD. 851-labs and lucataco are billed by "
        "seconds, bria 0.018 a picture.",
    )
    replicate_price_background_usd: Decimal = Field(
        Decimal("0.003"),
        ge=0,
        description="What a background takes, in USD: 0.003 flux-schnell, 0.025 flux-dev, 0.04 "
        "flux-1.1-pro.",
    )
    replicate_price_changes: PriceChanges = Field(
        (), description="Other prices, each from a day on: 2027-01-01 background=0.004."
    )

    def check(self) -> None:
        """See that there is a token, and that the models are known here.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        super().check()
        cutout_model(self.replicate_cutout_model)
        background_model(self.replicate_background_model)
