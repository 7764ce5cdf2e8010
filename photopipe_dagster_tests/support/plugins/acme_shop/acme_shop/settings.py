"""The variables of an Acme shop."""

from __future__ import annotations

from pydantic import Field, SecretStr

from photopipe_dagster.core.plugins import PluginSettings


class ShopSettings(PluginSettings):
    """Which shop, and as whom."""

    acme_shop_url: str | None = Field(
        None, description="Address of the shop. Empty: nothing is published there."
    )
    acme_shop_token: SecretStr | None = Field(None, description="Token of somebody who may sell.")
