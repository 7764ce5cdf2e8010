"""Gemini among the providers."""

from __future__ import annotations

from photopipe_dagster.providers.base import Capabilities
from photopipe_dagster.providers.gemini.settings import GeminiSettings
from photopipe_dagster.providers.remote.service import RemotePlugin


class Plugin(RemotePlugin):
    """Google's Gemini: backgrounds alone."""

    name = "gemini"
    settings = GeminiSettings
    account = "/models"
    capabilities = Capabilities(background=True)

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's Gemini."""
        return {
            "GEMINI_API_URL": f"{sandbox}/gemini/v1beta",
            "GEMINI_API_KEY": "sandbox-gemini-key",
            "GEMINI_REQUESTS_PER_MINUTE": "6000",
        }
