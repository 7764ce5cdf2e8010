"""remove.bg among the providers."""

from __future__ import annotations

from photopipe_dagster.providers.base import Capabilities
from photopipe_dagster.providers.remote.service import RemotePlugin
from photopipe_dagster.providers.removebg.settings import RemovebgSettings


class Plugin(RemotePlugin):
    """remove.bg: cut-outs of up to 25 megapixels."""

    name = "removebg"
    settings = RemovebgSettings
    account = "/v1.0/account"
    capabilities = Capabilities(
        cutout=True,
        alters_pixels=True,
        largest_input_bytes=22_000_000,
        largest_input_pixels=25_000_000,
    )

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's remove.bg."""
        return {
            "REMOVEBG_API_URL": f"{sandbox}/removebg",
            "REMOVEBG_API_KEY": "sandbox-removebg-key",
            "REMOVEBG_REQUESTS_PER_MINUTE": "6000",
        }
