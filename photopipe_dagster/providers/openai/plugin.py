"""OpenAI Images among the providers."""

from __future__ import annotations

from photopipe_dagster.providers.base import Capabilities
from photopipe_dagster.providers.openai.settings import OpenaiSettings
from photopipe_dagster.providers.remote.service import RemotePlugin


class Plugin(RemotePlugin):
    """OpenAI Images: backgrounds alone, which cannot be repeated."""

    name = "openai"
    settings = OpenaiSettings
    account = "/models"
    capabilities = Capabilities(background=True)

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's OpenAI."""
        return {
            "OPENAI_API_URL": f"{sandbox}/openai/v1",
            "OPENAI_API_KEY": "sk-sandbox-openai",
            "OPENAI_REQUESTS_PER_MINUTE": "6000",
        }
