"""Photoroom among the providers."""

from __future__ import annotations

from photopipe_dagster.providers.base import Capabilities
from photopipe_dagster.providers.photoroom.settings import PhotoroomSettings
from photopipe_dagster.providers.remote.service import RemotePlugin


class Plugin(RemotePlugin):
    """Photoroom: segment, and pictures from a prompt."""

    name = "photoroom"
    settings = PhotoroomSettings
    account = "/v2/account"
    capabilities = Capabilities(
        cutout=True,
        background=True,
        alters_pixels=True,
        largest_input_bytes=30_000_000,
        largest_input_pixels=25_000_000,
        confidence=True,
        seed=True,
    )

    def account_url(self, own: PhotoroomSettings) -> str:
        """It is at the second of its addresses."""
        return f"{own.photoroom_image_api_url.rstrip('/')}{self.account}"

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """The sandbox's Photoroom."""
        return {
            "PHOTOROOM_API_URL": f"{sandbox}/photoroom/sdk",
            "PHOTOROOM_IMAGE_API_URL": f"{sandbox}/photoroom/image-api",
            "PHOTOROOM_API_KEY": "photoroom-simulator-key",
            "PHOTOROOM_REQUESTS_PER_MINUTE": "6000",
        }
