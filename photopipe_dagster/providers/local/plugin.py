"""The embedded provider among the providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.base import Capabilities, ProviderContext, ProviderPlugin

if TYPE_CHECKING:
    from photopipe_dagster.providers.local.provider import LocalProvider


class Plugin(ProviderPlugin):
    """Cuts out with a small network and renders scenes, on this machine and for nothing."""

    name = "local"
    title = "Local"
    capabilities = Capabilities(
        cutout=True, background=True, remote=False, generative=False, confidence=True, seed=True
    )

    def open(self, context: ProviderContext) -> LocalProvider:
        """The provider; its network is loaded when it first cuts out.

        Raises:
            ConfigurationError: CUTOUT_MODEL_PATH is not a file.
        """
        from photopipe_dagster.providers.local.provider import LocalProvider

        return LocalProvider(context.settings)

    def prepare(self, settings: Settings) -> None:
        """Fetch the network, unless CUTOUT_MODEL_PATH names one.

        Raises:
            NetworkError: It could not be fetched.
        """
        from photopipe_dagster.imaging.segmentation.model import ensure_model

        if settings.cutout_model_path is None:
            ensure_model(settings.data_dir / "models")
