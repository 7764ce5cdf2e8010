"""The embedded provider among the providers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from photopipe_dagster.core.errors import NetworkError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.base import Capabilities, ProviderContext, ProviderPlugin

if TYPE_CHECKING:
    from photopipe_dagster.providers.local.provider import LocalProvider


_LOG = logging.getLogger(__name__)


class Plugin(ProviderPlugin):
    """Cuts out with two networks and renders scenes, on this machine and for nothing."""

    name = "local"
    title = "Local"
    capabilities = Capabilities(
        cutout=True, background=True, remote=False, generative=False, confidence=True, seed=True
    )

    def open(self, context: ProviderContext) -> LocalProvider:
        """The provider; its networks are loaded when it first cuts out.

        Raises:
            ConfigurationError: CUTOUT_MODEL_PATH is neither a file nor a folder.
        """
        from photopipe_dagster.providers.local.provider import LocalProvider

        return LocalProvider(context.settings)

    def prepare(self, settings: Settings) -> None:
        """Fetch both networks, unless CUTOUT_MODEL_PATH names one to use instead.

        Where only the large one cannot be had, the small one serves: a warning says so.

        Raises:
            NetworkError: The small one could not be fetched.
            ConfigurationError: The folder cannot be written.
        """
        from photopipe_dagster.imaging.segmentation.model import (
            ensure_large_model,
            ensure_model,
            places,
        )

        folder, instead = places(settings.cutout_model_path, settings.data_dir)
        if instead is not None:
            return
        ensure_model(folder)
        try:
            ensure_large_model(folder, progress=_Told())
        except NetworkError as error:
            _LOG.warning("%s", error)


class _Told:
    """Says in the log, at every tenth, how far a download has come."""

    def __init__(self) -> None:
        self._tenths = 0

    def __call__(self, share: float) -> None:
        if int(10 * share) > self._tenths:
            self._tenths = int(10 * share)
            _LOG.info("The large cut-out model: %d %% fetched.", 10 * self._tenths)
