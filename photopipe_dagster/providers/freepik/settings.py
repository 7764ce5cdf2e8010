"""Freepik's variables."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from pydantic import AliasChoices, Field, SecretStr

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.providers.freepik import mystic
from photopipe_dagster.providers.prices import EXAMPLE
from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings

ARTICLES: Final = ("cutout", "background_1k", "background_2k", "background_4k")
"""What Freepik has prices for."""


def _price(article: str, usd: str) -> Any:
    """The price of an article; PRICE_… of the same name is how it was written before."""
    what = article.replace("_", " of ").replace("cutout", "cut-out")
    name = f"price_{article}_usd"
    return Field(
        Decimal(usd),
        ge=0,
        validation_alias=AliasChoices(f"freepik_{name}", name),
        description=f"What Freepik takes for a {what}, in USD. It publishes no prices: take them "
        "from your invoice.",
    )


class FreepikSettings(RemoteSettings):
    """How Freepik is reached, what is asked of it, and what it takes."""

    service = "Freepik"
    prefix = "freepik"
    articles = ARTICLES

    freepik_api_key: SecretStr | None = Field(
        None, description="Key of the account; must be set where freepik is a provider."
    )
    freepik_api_url: str = Field(
        "https://api.magnific.com",
        description="Freepik's API is called Magnific since 2026. For the older host and its keys "
        "set https://api.freepik.com, and x-freepik-api-key as FREEPIK_API_KEY_HEADER. "
        "Production needs https.",
    )
    freepik_api_key_header: str = Field(
        "x-magnific-api-key", description="Header that carries the key."
    )
    freepik_input: Literal["url", "upload"] = Field(
        "url",
        description="How Freepik gets a photo: url (a signed URL that it can reach from the "
        "internet) or upload (its Uploads API; for private stores and machines behind a firewall).",
    )
    freepik_resolution: Literal["auto", "1k", "2k", "4k"] = Field(
        "auto", description="Of backgrounds: auto (by the photo's size), 1k, 2k or 4k."
    )
    freepik_model: str = Field(
        "realism",
        description="realism, fluid, zen, flexible, super_real or editorial_portraits.",
    )
    freepik_engine: str = Field(
        "automatic",
        description="automatic, magnific_illusio, magnific_sharpy or magnific_sparkle.",
    )
    freepik_requests_per_minute: int = Field(
        40,
        ge=1,
        description="Requests a minute, all photos of all processes together (see "
        "WORKER_PROCESSES); the key's own limit is 50 or more.",
    )
    freepik_poll_seconds: float = Field(
        2.0, gt=0, description="Seconds between two looks at a background that is being made."
    )
    freepik_task_timeout_seconds: float = Field(
        300.0, gt=0, description="Seconds that one try waits for a background."
    )
    freepik_price_cutout_usd: Decimal = _price("cutout", "0.02")
    freepik_price_background_1k_usd: Decimal = _price("background_1k", "0.05")
    freepik_price_background_2k_usd: Decimal = _price("background_2k", "0.05")
    freepik_price_background_4k_usd: Decimal = _price("background_4k", "0.10")
    freepik_price_changes: PriceChanges = Field(
        (),
        validation_alias=AliasChoices("freepik_price_changes", "price_changes"),
        description="Other prices, each from the beginning of a day (UTC); what is not named keeps "
        f"its price. Such as {EXAMPLE}.",
    )

    def check(self) -> None:
        """See that there is a key, and that Mystic knows what is set.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        self.key()
        for variable, value, known in (
            ("FREEPIK_MODEL", self.freepik_model, mystic.MODELS),
            ("FREEPIK_ENGINE", self.freepik_engine, mystic.ENGINES),
        ):
            if value not in known:
                raise ConfigurationError(
                    f"{variable} is {value!r}; Mystic knows {', '.join(known)}."
                )

    def headers(self) -> dict[str, str]:
        """What lets us in: a secret."""
        return {self.freepik_api_key_header: self.key()}

    def key_advice(self) -> str:
        """The header of the key has changed with the API's name."""
        return (
            "Check FREEPIK_API_KEY, and that FREEPIK_API_KEY_HEADER is the one that "
            "FREEPIK_API_URL wants."
        )

    def first_prices(self) -> Mapping[str, Decimal]:
        """The prices of what may be bought: of one resolution alone where it is set."""
        only = ("cutout", f"background_{self.freepik_resolution}")
        prices = super().first_prices()
        return (
            prices if self.freepik_resolution == "auto" else {name: prices[name] for name in only}
        )
