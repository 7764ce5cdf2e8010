"""Freepik among the providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.client import new_client
from photopipe_dagster.providers.base import Capabilities, ProviderContext, ProviderPlugin
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.prices import PriceList

if TYPE_CHECKING:
    from photopipe_dagster.providers.freepik.provider import FreepikProvider


class Plugin(ProviderPlugin):
    """Freepik, since 2026 Magnific: remove-background and Mystic."""

    name = "freepik"
    title = "Freepik"
    settings = FreepikSettings
    capabilities = Capabilities(
        cutout=True,
        background=True,
        remote=True,
        generative=True,
        alters_pixels=True,
        takes=frozenset({"bytes", "url"}),
        largest_input_bytes=20_000_000,
    )
    advice: ClassVar[Mapping[ErrorCode, str]] = {
        ErrorCode.API_ERROR: "Freepik's key is FREEPIK_API_KEY, its address FREEPIK_API_URL.",
        ErrorCode.RATE_LIMIT_ERROR: "FREEPIK_REQUESTS_PER_MINUTE slows the requests to Freepik "
        "down.",
    }

    def check(self, settings: Settings) -> None:
        """See that there is a key, and that Mystic knows what is set.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        ours = settings.of(FreepikSettings)
        ours.check()
        settings.require_https("FREEPIK_API_URL", ours.freepik_api_url)

    def open(self, context: ProviderContext) -> FreepikProvider:
        """A provider as the settings have it, with the prices of the context's time.

        Raises:
            ConfigurationError: The key is missing, or a setting is unknown to Freepik.
        """
        from photopipe_dagster.providers.freepik.provider import FreepikProvider

        return FreepikProvider(context)

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's Freepik, which is asked more often than the real one."""
        return {
            "FREEPIK_API_URL": f"{sandbox}/freepik",
            "FREEPIK_API_KEY": "sandbox-freepik-key",
            "FREEPIK_POLL_SECONDS": "0.5",
            "FREEPIK_REQUESTS_PER_MINUTE": "600",
        }

    def prices(self, settings: Settings) -> PriceList:
        """Those of FREEPIK_PRICE_…."""
        return settings.of(FreepikSettings).prices()

    async def probe(self, context: ProviderContext) -> PartStatus:
        """List Mystic tasks: there is no ping, and this is the cheapest call that needs the key."""
        own = context.settings.of(FreepikSettings)
        if own.freepik_api_key is None:
            return "not configured"
        headers = {own.freepik_api_key_header: own.key()}
        url = own.freepik_api_url.rstrip("/")
        async with new_client(base_url=url, headers=headers, transport=context.transport) as client:
            response = await client.get("/v1/ai/mystic")
        if response.status_code in (401, 403):
            return "unauthorized"
        # Asked to slow down, it is there anyway.
        return "connected" if response.is_success or response.status_code == 429 else "unreachable"
