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
    sandbox = ("/removebg", "sandbox-removebg-key")
    capabilities = Capabilities(
        cutout=True,
        alters_pixels=True,
        largest_input_bytes=22_000_000,
        largest_input_pixels=25_000_000,
    )
