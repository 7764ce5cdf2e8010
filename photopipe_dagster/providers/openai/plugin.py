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
    sandbox = ("/openai/v1", "sk-sandbox-openai")
    capabilities = Capabilities(background=True)
