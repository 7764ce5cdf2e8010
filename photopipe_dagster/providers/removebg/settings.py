"""remove.bg's variables."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, SecretStr

from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings


class RemovebgSettings(RemoteSettings):
    """How remove.bg is reached, and what it takes."""

    service = "remove.bg"
    prefix = "removebg"
    header = "X-Api-Key: {}"
    articles = ("cutout",)

    removebg_api_key: SecretStr | None = Field(
        None, description="Key of the account; must be set where removebg is a provider."
    )
    removebg_api_url: str = Field(
        "https://api.remove.bg", description="remove.bg's API. Production needs https."
    )
    removebg_requests_per_minute: int = Field(
        50,
        ge=1,
        description="Photos a minute, all processes together (see WORKER_PROCESSES): 500 of 1 "
        "megapixel are allowed, and 50 of 10.",
    )
    removebg_price_cutout_usd: Decimal = Field(
        Decimal("0.20"),
        ge=0,
        description="What a credit takes, in USD, of which a cut-out takes one: 0.05 to 0.20 by "
        "plan. The credits that an answer says it has charged are booked.",
    )
    removebg_price_changes: PriceChanges = Field(
        (), description="Other prices, each from a day on: 2027-01-01 cutout=0.10."
    )
