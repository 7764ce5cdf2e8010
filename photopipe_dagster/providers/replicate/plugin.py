"""Replicate among the providers."""

from __future__ import annotations

from photopipe_dagster.providers.base import Capabilities
from photopipe_dagster.providers.remote.service import RemotePlugin
from photopipe_dagster.providers.replicate.settings import ReplicateSettings


class Plugin(RemotePlugin):
    """Replicate: background-remover and its like, and flux."""

    name = "replicate"
    settings = ReplicateSettings
    account = "/account"
    capabilities = Capabilities(
        cutout=True,
        background=True,
        alters_pixels=True,
        largest_input_bytes=100_000_000,
        finds_lost=True,
    )

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's Replicate."""
        return {
            "REPLICATE_API_URL": f"{sandbox}/replicate/v1",
            "REPLICATE_API_TOKEN": "r8_sandbox",
            "REPLICATE_POLL_SECONDS": "0.3",
            "REPLICATE_ORDERS_PER_MINUTE": "6000",
        }
