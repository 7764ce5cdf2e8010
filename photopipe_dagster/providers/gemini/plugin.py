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
    sandbox = ("/gemini/v1beta", "sandbox-gemini-key")
    capabilities = Capabilities(background=True)
