"""The variables of a server of one's own that cuts out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.core.settings import Names
from photopipe_dagster.providers.prices import PriceChange, PriceList, parse_price_changes

ARTICLES: Final = ("cutout",)
"""What such a server has a price for."""


class HttpSettings(PluginSettings):
    """How the server is reached, what it is sent, and what it answers."""

    http_cutout_url: str | None = Field(
        None,
        description="Address that a photo is POSTed to, and that answers its cut-out; must be set "
        "where http is a provider. Such as http://localhost:7000/api/remove, a rembg server.",
    )
    http_cutout_request: Literal["multipart", "bytes", "json"] = Field(
        "multipart",
        description="How the photo is sent: multipart (a file of a form), bytes (the body itself) "
        "or json (base64 in an object).",
    )
    http_cutout_field: str = Field(
        "file", description="Name of the form's file, or of the object's member."
    )
    http_cutout_options: Names = Field(
        (), description="Further fields of the form or members of the object: model=u2net,a=true."
    )
    http_cutout_answer: str = Field(
        "",
        description="Where the picture is in a JSON answer, as base64 or a data URI: image, or "
        "data.0.image. Empty: the answer itself is the picture.",
    )
    http_cutout_gives: Literal["cutout", "mask"] = Field(
        "cutout",
        description="What the picture is: cutout (the product, with transparency) or mask (grey, "
        "white where the product is).",
    )
    http_cutout_model: str = Field(
        "http",
        description="Name and version of what cuts out there. Where it changes, photos are cut out "
        "again.",
    )
    http_cutout_key: SecretStr | None = Field(
        None, description="Value of the header that lets us in, such as Bearer …; none where empty."
    )
    http_cutout_key_header: str = Field("Authorization", description="Name of that header.")
    http_cutout_seconds: float = Field(120.0, gt=0, description="Seconds that a cut-out may take.")
    http_cutout_at_once: int = Field(
        4, ge=1, description="Photos that each process sends at once; the others wait here."
    )
    http_cutout_health_url: str | None = Field(
        None, description="Asked whether the server is well; the root of its address where empty."
    )
    http_cutout_price_usd: Decimal = Field(
        Decimal(0), ge=0, description="What a cut-out costs, in USD; 0: it is free."
    )
    http_cutout_price_changes: Annotated[tuple[PriceChange, ...], NoDecode] = Field(
        (), description="Other prices, each from a day on: 2027-01-01 cutout=0.002."
    )

    @field_validator("http_cutout_price_changes", mode="before")
    @classmethod
    def _dated(cls, value: object) -> object:
        return parse_price_changes(value, ARTICLES) if isinstance(value, str) else value

    def url(self) -> str:
        """The address.

        Raises:
            ConfigurationError: It is missing.
        """
        if not self.http_cutout_url:
            raise ConfigurationError("HTTP_CUTOUT_URL must be set for the provider http.")
        return self.http_cutout_url

    def options(self) -> Mapping[str, str]:
        """What goes along with a photo.

        Raises:
            ConfigurationError: It cannot be read.
        """
        pairs = [option.partition("=") for option in self.http_cutout_options]
        if not all(name and equals for name, equals, _ in pairs):
            raise ConfigurationError(
                "HTTP_CUTOUT_OPTIONS must be name=value, with commas between: model=u2net,a=true."
            )
        return {name: value for name, _, value in pairs}

    def headers(self) -> Mapping[str, str]:
        """What lets us in: a secret."""
        key = self.http_cutout_key
        return {self.http_cutout_key_header: key.get_secret_value()} if key else {}

    def prices(self) -> PriceList:
        """What a cut-out costs; nothing is listed where it is free, and stays so."""
        if not self.http_cutout_price_usd and not self.http_cutout_price_changes:
            return PriceList()
        return PriceList({"cutout": self.http_cutout_price_usd}, self.http_cutout_price_changes)
