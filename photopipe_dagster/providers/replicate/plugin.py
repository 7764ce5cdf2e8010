"""Replicate among the providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.client import new_client
from photopipe_dagster.providers.base import Capabilities, ProviderContext, ProviderPlugin
from photopipe_dagster.providers.prices import PriceList
from photopipe_dagster.providers.replicate.settings import ReplicateSettings

if TYPE_CHECKING:
    from photopipe_dagster.providers.replicate.provider import ReplicateProvider


class Plugin(ProviderPlugin):
    """Replicate: background-remover and its like, and flux."""

    name = "replicate"
    title = "Replicate"
    settings = ReplicateSettings
    capabilities = Capabilities(
        cutout=True, background=True, alters_pixels=True, largest_input_bytes=100_000_000
    )
    advice: ClassVar[Mapping[ErrorCode, str]] = {
        ErrorCode.API_ERROR: "Replicate's token is REPLICATE_API_TOKEN.",
        ErrorCode.RATE_LIMIT_ERROR: "REPLICATE_ORDERS_PER_MINUTE slows the orders to Replicate "
        "down.",
    }

    def check(self, settings: Settings) -> None:
        """See that there is a token, and that the models are known.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        ours = settings.of(ReplicateSettings)
        ours.check()
        settings.require_https("REPLICATE_API_URL", ours.replicate_api_url)

    def open(self, context: ProviderContext) -> ReplicateProvider:
        """A provider as the settings have it, with the prices of the context's time.

        Raises:
            ConfigurationError: The token is missing, or a model is not known.
        """
        from photopipe_dagster.providers.replicate.provider import ReplicateProvider

        self.check(context.settings)
        return ReplicateProvider(context)

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's Replicate."""
        return {
            "REPLICATE_API_URL": f"{sandbox}/replicate/v1",
            "REPLICATE_API_TOKEN": "r8_sandbox",
            "REPLICATE_POLL_SECONDS": "0.3",
            "REPLICATE_ORDERS_PER_MINUTE": "6000",
        }

    def prices(self, settings: Settings) -> PriceList:
        """Those of REPLICATE_PRICE_…."""
        return settings.of(ReplicateSettings).prices()

    async def probe(self, context: ProviderContext) -> PartStatus:
        """Ask for the account, which costs nothing and needs the token."""
        own = context.settings.of(ReplicateSettings)
        if own.replicate_api_token is None:
            return "not configured"
        headers = {"Authorization": f"Bearer {own.token()}"}
        url = own.replicate_api_url.rstrip("/")
        async with new_client(base_url=url, headers=headers, transport=context.transport) as client:
            response = await client.get("/account")
        if response.status_code in (401, 403):
            return "unauthorized"
        # Asked to slow down, it is there anyway.
        return "connected" if response.is_success or response.status_code == 429 else "unreachable"
