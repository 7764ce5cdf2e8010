"""Acme among the providers."""

from __future__ import annotations

from typing import ClassVar

from acme_cutouts.provider import CutoutsProvider
from acme_cutouts.settings import CutoutsSettings
from photopipe_dagster.core.errors import ConfigurationError, ErrorCode
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.base import Capabilities, ProviderContext, ProviderPlugin
from photopipe_dagster.providers.prices import PriceList


class Plugin(ProviderPlugin):
    """Acme cuts out and makes backgrounds, for money."""

    name = "acme-cutouts"
    title = "Acme Cut-outs"
    settings = CutoutsSettings
    capabilities = Capabilities(cutout=True, background=True, seed=True)
    advice: ClassVar = {ErrorCode.API_ERROR: "Acme's key is ACME_CUTOUTS_KEY."}

    def check(self, settings: Settings) -> None:
        """See that there is a key."""
        if not settings.of(CutoutsSettings).acme_cutouts_key:
            raise ConfigurationError("ACME_CUTOUTS_KEY must be set for the provider acme-cutouts.")

    def open(self, context: ProviderContext) -> CutoutsProvider:
        """The provider, with the prices of today."""
        self.check(context.settings)
        return CutoutsProvider(context)

    def prices(self, settings: Settings) -> PriceList:
        """Those of ACME_CUTOUTS_PRICE_…."""
        return settings.of(CutoutsSettings).prices()

    async def probe(self, context: ProviderContext) -> PartStatus:
        """Ask for the account."""
        provider = self.open(context)
        try:
            return await provider.account()
        finally:
            await provider.aclose()
