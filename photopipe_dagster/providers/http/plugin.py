"""A server of one's own among the providers."""

from __future__ import annotations

import httpx

from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.net.client import new_client
from photopipe_dagster.providers.base import Capabilities, ProviderContext
from photopipe_dagster.providers.http.settings import HttpSettings
from photopipe_dagster.providers.remote.service import RemotePlugin


class Plugin(RemotePlugin):
    """Any server that takes a photo and answers a cut-out: rembg's, a BiRefNet container."""

    name = "http"
    settings = HttpSettings
    account = ""
    capabilities = Capabilities(cutout=True, alters_pixels=True)

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
