"""How a Shopify store is reached: read by whatever works with one, the target above all."""

from __future__ import annotations

from pydantic import Field, SecretStr

from photopipe_dagster.core.plugins import PluginSettings


class ShopifySettings(PluginSettings):
    """A store, its credentials, and how long it may take."""

    shopify_store: str | None = Field(
        None,
        description="your-store.myshopify.com, or a full base URL; one of a simulator may be "
        "http://… outside production.",
    )
    shopify_access_token: SecretStr | None = Field(
        None,
        description="Token of a custom app (shpat_…), or the id and secret of an app of the Dev "
        "Dashboard. Scopes: read_products, write_products, read_files, write_files.",
    )
    shopify_client_id: str | None = Field(
        None, description="Id of an app of the Dev Dashboard, where there is no token."
    )
    shopify_client_secret: SecretStr | None = Field(None, description="Secret of that app.")
    shopify_api_version: str = Field("2026-10", description="Version of Shopify's Admin API.")
    shopify_ready_timeout_seconds: float = Field(
        120.0, gt=0, description="Seconds that Shopify may take to process a picture."
    )
    shopify_poll_seconds: float = Field(1.0, gt=0, description="Seconds between two looks.")
