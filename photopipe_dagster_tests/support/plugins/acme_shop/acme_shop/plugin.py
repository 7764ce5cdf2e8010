"""An Acme shop among the targets of publishing."""

from __future__ import annotations

from typing import ClassVar

from acme_shop.settings import ShopSettings
from acme_shop.target import ShopTarget
from photopipe_dagster.core.errors import ConfigurationError, ErrorCode
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.placement import SizeLimit
from photopipe_dagster.targets.base import PictureLimits, TargetContext, TargetPlugin


class Plugin(TargetPlugin):
    """An Acme shop."""

    name = "acme-shop"
    title = "Acme Shop"
    settings = ShopSettings
    needs = "ACME_SHOP_URL and ACME_SHOP_TOKEN"
    limits = PictureLimits(SizeLimit(side=120, pixels=14_400), bytes=1_000_000, alt_characters=60)
    media_id = r"f[0-9]+"
    advice: ClassVar = {
        ErrorCode.SHOPIFY_ERROR: "In the Acme shop, look at the product and the token."
    }

    def shop(self, settings: Settings) -> str | None:
        """ACME_SHOP_URL."""
        return settings.of(ShopSettings).acme_shop_url

    def check(self, settings: Settings) -> None:
        """A shop needs an address and a token."""
        own = settings.of(ShopSettings)
        if not own.acme_shop_url or not own.acme_shop_token:
            raise ConfigurationError(f"{self.needs} must be set.")

    def open(self, context: TargetContext) -> ShopTarget:
        """Connect to ACME_SHOP_URL."""
        self.check(context.settings)
        return ShopTarget(context)

    async def probe(self, context: TargetContext) -> str:
        """Look at no product: that needs the token, too."""
        target = self.open(context)
        try:
            await target.existing(())
        finally:
            await target.aclose()
        return "open for business"
