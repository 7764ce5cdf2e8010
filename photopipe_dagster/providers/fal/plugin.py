"""fal among the providers."""

from __future__ import annotations

from photopipe_dagster.providers.base import Capabilities
from photopipe_dagster.providers.fal.settings import FalSettings
from photopipe_dagster.providers.remote.service import RemotePlugin


class Plugin(RemotePlugin):
    """fal's queue: background removal by Bria or BiRefNet, and flux."""

    name = "fal"
    settings = FalSettings
    account = "/models/pricing"
    capabilities = Capabilities(
        cutout=True,
        background=True,
        alters_pixels=True,
        largest_input_bytes=100_000_000,
        seed=True,
        finds_lost=True,
    )

    def account_url(self, own: FalSettings) -> str:
        """It has no account that every key may see; prices need a key, too."""
        return f"{own.fal_platform_url}{self.account}?endpoint_id={own.fal_cutout_model}"

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's fal."""
        return {
            "FAL_API_URL": f"{sandbox}/fal/queue",
            "FAL_REST_URL": f"{sandbox}/fal/rest",
            "FAL_PLATFORM_URL": f"{sandbox}/fal/platform/v1",
            "FAL_API_KEY": "sandbox-fal-key",
            "FAL_POLL_SECONDS": "0.3",
            "FAL_ORDERS_PER_MINUTE": "6000",
        }
