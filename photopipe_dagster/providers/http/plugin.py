"""A server of one's own among the providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import httpx

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.client import new_client
from photopipe_dagster.providers.base import Capabilities, ProviderContext, ProviderPlugin
from photopipe_dagster.providers.http.settings import HttpSettings
from photopipe_dagster.providers.prices import PriceList

if TYPE_CHECKING:
    from photopipe_dagster.providers.http.provider import HttpProvider


class Plugin(ProviderPlugin):
    """Any server that takes a photo and answers a cut-out: rembg's, a BiRefNet container."""

    name = "http"
    title = "The cut-out server"
    settings = HttpSettings
    capabilities = Capabilities(cutout=True, alters_pixels=True)
    advice: ClassVar[Mapping[ErrorCode, str]] = {
        ErrorCode.API_ERROR: "The cut-out server is at HTTP_CUTOUT_URL, its key HTTP_CUTOUT_KEY.",
    }

    def check(self, settings: Settings) -> None:
        """See that there is an address.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        ours = settings.of(HttpSettings)
        ours.options()
        settings.require_https("HTTP_CUTOUT_URL", ours.url())

    def open(self, context: ProviderContext) -> HttpProvider:
        """A provider as the settings have it, with the prices of the context's time.

        Raises:
            ConfigurationError: The address is missing.
        """
        from photopipe_dagster.providers.http.provider import HttpProvider

        self.check(context.settings)
        return HttpProvider(context)

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's rembg server, which wants a key and money."""
        return {
            "HTTP_CUTOUT_URL": f"{sandbox}/rembg/api/remove",
            "HTTP_CUTOUT_OPTIONS": "model=u2net",
            "HTTP_CUTOUT_MODEL": "rembg u2net",
            "HTTP_CUTOUT_KEY": "Bearer sandbox-rembg-key",
            "HTTP_CUTOUT_HEALTH_URL": f"{sandbox}/rembg/health",
            "HTTP_CUTOUT_PRICE_USD": "0.01",
        }

    def prices(self, settings: Settings) -> PriceList:
        """That of HTTP_CUTOUT_PRICE_USD."""
        return settings.of(HttpSettings).prices()

    async def probe(self, context: ProviderContext) -> PartStatus:
        """Ask for HTTP_CUTOUT_HEALTH_URL, or the root: it may well be a page that is not there."""
        own = context.settings.of(HttpSettings)
        if own.http_cutout_url is None:
            return "not configured"
        root = httpx.URL(own.url()).copy_with(path="/", query=None)
        async with new_client(headers=dict(own.headers()), transport=context.transport) as client:
            response = await client.get(own.http_cutout_health_url or root)
        if response.status_code in (401, 403):
            return "unauthorized"
        nothing_there = own.http_cutout_health_url is None and response.status_code in (404, 405)
        return "connected" if response.is_success or nothing_there else "unreachable"
