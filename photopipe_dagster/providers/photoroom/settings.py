"""Photoroom's variables."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, SecretStr

from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings


class PhotoroomSettings(RemoteSettings):
    """How Photoroom is reached, and what it takes."""

    service = "Photoroom"
    prefix = "photoroom"
    header = "x-api-key: {}"
    more_urls = ("image_api_url",)

    photoroom_api_key: SecretStr | None = Field(
        None, description="Key of the account; must be set where photoroom is a provider."
    )
    photoroom_api_url: str = Field(
        "https://sdk.photoroom.com", description="Cuts out. Production needs https."
    )
    photoroom_image_api_url: str = Field(
        "https://image-api.photoroom.com",
        description="Makes backgrounds, which needs the plan Plus. Production needs https.",
    )
    photoroom_requests_per_minute: int = Field(
        50,
        ge=1,
        description="Pictures a minute, all photos of all processes together (see "
        "WORKER_PROCESSES); 60 are allowed.",
    )
    photoroom_price_cutout_usd: Decimal = Field(
        Decimal("0.02"), ge=0, description="What a cut-out takes, in USD."
    )
    photoroom_price_background_usd: Decimal = Field(
        Decimal("0.10"), ge=0, description="What a background takes, in USD: five cut-outs."
    )
    photoroom_price_changes: PriceChanges = Field(
        (), description="Other prices, each from a day on: 2027-01-01 background=0.08."
    )

    def key_advice(self) -> str:
        """An empty balance is refused like a wrong key."""
        return "Check PHOTOROOM_API_KEY, and that the account has images left."
