"""Freepik among the providers."""

from __future__ import annotations

from photopipe_dagster.providers.base import Capabilities
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.remote.service import RemotePlugin


class Plugin(RemotePlugin):
    """Freepik, since 2026 Magnific: remove-background and Mystic."""

    name = "freepik"
    settings = FreepikSettings
    account = "/v1/ai/mystic"
    capabilities = Capabilities(
        cutout=True,
        background=True,
        alters_pixels=True,
        takes=frozenset({"bytes", "url"}),
        largest_input_bytes=20_000_000,
    )

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's Freepik, which is asked more often than the real one."""
        return {
            "FREEPIK_API_URL": f"{sandbox}/freepik",
            "FREEPIK_API_KEY": "sandbox-freepik-key",
            "FREEPIK_POLL_SECONDS": "0.5",
            "FREEPIK_REQUESTS_PER_MINUTE": "600",
        }
