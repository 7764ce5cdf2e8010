"""The variables of Acme's cut-outs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.providers.prices import PriceChange, PriceList, parse_price_changes

ARTICLES = ("cutout", "background")


class CutoutsSettings(PluginSettings):
    """How Acme is reached, and what it takes."""

    acme_cutouts_url: str = Field("https://cutouts.acme.example", description="Acme's address.")
    acme_cutouts_key: SecretStr | None = Field(None, description="Key of your account.")
    acme_cutouts_price_cutout_usd: Decimal = Field(
        Decimal("0.03"), ge=0, description="What Acme takes for a cut-out, in USD."
    )
    acme_cutouts_price_background_usd: Decimal = Field(
        Decimal("0.07"), ge=0, description="What Acme takes for a background, in USD."
    )
    acme_cutouts_price_changes: Annotated[tuple[PriceChange, ...], NoDecode] = Field(
        (), description="Other prices, each from a day on: 2027-01-01 cutout=0.04."
    )

    @field_validator("acme_cutouts_price_changes", mode="before")
    @classmethod
    def _dated(cls, value: object) -> object:
        return parse_price_changes(value, ARTICLES) if isinstance(value, str) else value

    def prices(self) -> PriceList:
        """What Acme takes now, and from when it takes something else."""
        first = {each: getattr(self, f"acme_cutouts_price_{each}_usd") for each in ARTICLES}
        return PriceList(first, self.acme_cutouts_price_changes)
