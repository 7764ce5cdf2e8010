"""Stability AI among the providers."""

from __future__ import annotations

from photopipe_dagster.providers.base import Capabilities
from photopipe_dagster.providers.remote.service import RemotePlugin
from photopipe_dagster.providers.stability.settings import StabilitySettings


class Plugin(RemotePlugin):
    """Stability AI: remove-background, and Stable Image Core and Ultra."""

    name = "stability"
    settings = StabilitySettings
    account = "/v1/user/balance"
    sandbox = ("/stability", "sk-sandbox-stability")
    capabilities = Capabilities(
        cutout=True,
        background=True,
        alters_pixels=True,
        largest_input_bytes=10_000_000,
        largest_input_pixels=4_194_304,
        seed=True,
    )
