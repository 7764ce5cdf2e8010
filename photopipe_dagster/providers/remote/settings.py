"""What the variables of a service have in common: a key, an address, a speed limit and prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.providers.prices import PriceChange, PriceList, parse_price_changes

PriceChanges = Annotated[tuple[PriceChange, ...], NoDecode]
"""The type of a variable …_PRICE_CHANGES."""


class RemoteSettings(PluginSettings):
    """The variables of a service; each begins with its prefix.

    Attributes:
        service: As people call it.
        prefix: What its variables begin with, in small letters.
        articles: What it has prices for; each has a variable …_PRICE_…_USD.
        key_name: The variable of its key, without the prefix.
        url_name: That of its address.
        more_urls: Those of further addresses.
        rate_name: That of the requests a minute.
        header: That the key is sent in.
    """

    service: ClassVar[str]
    prefix: ClassVar[str]
    articles: ClassVar[tuple[str, ...]] = ("cutout", "background")
    key_name: ClassVar[str] = "api_key"
    url_name: ClassVar[str] = "api_url"
    more_urls: ClassVar[tuple[str, ...]] = ()
    rate_name: ClassVar[str] = "requests_per_minute"
    header: ClassVar[str] = "Authorization: Bearer {}"

    @field_validator("*", mode="before")
    @classmethod
    def _dated(cls, value: object, info: ValidationInfo) -> object:
        changes = isinstance(value, str) and str(info.field_name).endswith("_price_changes")
        return parse_price_changes(value, cls.articles) if changes else value  # type: ignore[arg-type]

    def value(self, name: str) -> Any:
        """What a variable is set to, by its name without the prefix."""
        return getattr(self, f"{self.prefix}_{name}")

    @classmethod
    def variable(cls, name: str) -> str:
        """A variable's whole name."""
        return f"{cls.prefix}_{name}".upper()

    def check(self) -> None:
        """See that there is a key, and whatever else can be seen without asking.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        self.key()

    def key(self) -> str:
        """The key: a secret.

        Raises:
            ConfigurationError: It is missing.
        """
        key = self.value(self.key_name)
        if not isinstance(key, SecretStr):
            variable = self.variable(self.key_name)
            raise ConfigurationError(f"{variable} must be set for the provider {self.prefix}.")
        return key.get_secret_value()

    def url(self) -> str:
        """The address, without a slash at its end."""
        return str(self.value(self.url_name)).rstrip("/")

    def headers(self) -> dict[str, str]:
        """What lets us in: a secret."""
        name, _, value = self.header.partition(": ")
        return {name: value.format(self.key())}

    def key_advice(self) -> str:
        """What to do where the key is refused."""
        return f"Check {self.variable(self.key_name)}."

    def rate_advice(self) -> str:
        """What to do where it asks to slow down."""
        return f"Lower {self.variable(self.rate_name)} if this goes on."

    def first_prices(self) -> Mapping[str, Any]:
        """USD for one of each article that may be bought, before all changes."""
        return {article: self.value(f"price_{article}_usd") for article in self.articles}

    def prices(self) -> PriceList:
        """What it takes now, and from when it takes something else."""
        return PriceList(self.first_prices(), self.value("price_changes"))
