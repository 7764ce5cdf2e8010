"""The variables of a server of one's own that cuts out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, SecretStr

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Names
from photopipe_dagster.providers.remote.settings import PriceChanges, RemoteSettings


class HttpSettings(RemoteSettings):
    """How the server is reached, what it is sent, and what it answers."""

    service = "The cut-out server"
    prefix = "http_cutout"
    articles = ("cutout",)
    key_name = "key"
    url_name = "url"
    rate_name = "at_once"

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
    http_cutout_price_changes: PriceChanges = Field(
        (), description="Other prices, each from a day on: 2027-01-01 cutout=0.002."
    )

    def check(self) -> None:
        """See that there is an address; a key is not needed everywhere.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        self.options()
        self.url()

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

    def headers(self) -> dict[str, str]:
        """What lets us in: a secret."""
        key = self.http_cutout_key
        return {self.http_cutout_key_header: key.get_secret_value()} if key else {}

    def key_advice(self) -> str:
        """The header of the key can be chosen."""
        return "Check HTTP_CUTOUT_KEY and HTTP_CUTOUT_KEY_HEADER."

    def rate_advice(self) -> str:
        """It is the shop's own."""
        return "Give it more machines, or lower HTTP_CUTOUT_AT_ONCE, if this goes on."

    def first_prices(self) -> Mapping[str, Any]:
        """What a cut-out costs; nothing is listed where it is free, and stays so."""
        costs = self.http_cutout_price_usd or self.http_cutout_price_changes
        return {"cutout": self.http_cutout_price_usd} if costs else {}
