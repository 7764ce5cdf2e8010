"""What Shopify brings to Photopipe: its settings, its limits, and how it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from photopipe_dagster.core.errors import ErrorCode, TargetError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.placement import SizeLimit
from photopipe_dagster.shopify.settings import ShopifySettings
from photopipe_dagster.targets.base import PictureLimits, Target, TargetContext, TargetPlugin

if TYPE_CHECKING:
    from photopipe_dagster.shopify.client import ShopifyClient


class Plugin(TargetPlugin):
    """A Shopify store."""

    name = "shopify"
    title = "Shopify"
    settings = ShopifySettings
    needs = (
        "SHOPIFY_STORE, and SHOPIFY_ACCESS_TOKEN or SHOPIFY_CLIENT_ID with SHOPIFY_CLIENT_SECRET"
    )
    # Shopify's pages name 20 MP with 4472 a side, newer ones 25 MP with 5000: the lower.
    limits = PictureLimits(
        size=SizeLimit(side=4472, pixels=20_000_000), bytes=20_000_000, alt_characters=512
    )
    product_id = r"gid://shopify/Product/[0-9]{1,20}"
    media_id = r"gid://shopify/MediaImage/[0-9]{1,20}"
    advice: ClassVar[Mapping[ErrorCode, str]] = {
        ErrorCode.SHOPIFY_ERROR: "In Shopify, look at the product, the app's scopes and Content > "
        "Files; here, at SHOPIFY_STORE, SHOPIFY_API_VERSION and the app's token or secret.",
    }

    def shop(self, settings: Settings) -> str | None:
        """SHOPIFY_STORE."""
        return settings.of(ShopifySettings).shopify_store

    def product_url(self, settings: Settings, product_id: str) -> str | None:
        """The product's page, which the store itself knows by the number in the id."""
        store, number = self.shop(settings), product_id.rpartition("/")[2]
        if store is None or not number.isdigit():
            return None
        address = store if "://" in store else f"https://{store}"
        return f"{address.rstrip('/')}/admin/products/{number}"

    def check(self, settings: Settings) -> None:
        """See whether there are a store and credentials."""
        from photopipe_dagster.shopify.client import store_and_auth

        store, _ = store_and_auth(settings.of(ShopifySettings))
        settings.require_https("SHOPIFY_STORE", store)

    def open(self, context: TargetContext) -> Target:
        """A client of the store, behind the protocol."""
        from photopipe_dagster.targets.shopify.target import ShopifyTarget

        return ShopifyTarget(_client(context))

    async def probe(self, context: TargetContext) -> str:
        """Compare the app's access scopes with those that publishing needs."""
        from photopipe_dagster.shopify.access import missing_scopes

        async with _client(context) as client:
            missing = await missing_scopes(client)
        if missing:
            raise TargetError(
                f"grant the app these access scopes: {', '.join(missing)}",
                details={"missing_scopes": list(missing)},
                refuses_all=True,
            )
        return "connected, all access scopes granted"

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's Shopify, which is looked at more often than the real one."""
        return {
            "SHOPIFY_STORE": f"{sandbox}/shopify",
            "SHOPIFY_ACCESS_TOKEN": "sandbox-shopify-token",
            "SHOPIFY_POLL_SECONDS": "0.3",
        }


def _client(context: TargetContext) -> ShopifyClient:
    from photopipe_dagster.shopify.client import ShopifyClient

    return ShopifyClient(
        context.settings.of(ShopifySettings),
        transport=context.transport,
        sleep=context.sleep,
        clock=context.clock,
    )
