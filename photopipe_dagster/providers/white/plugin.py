"""White backgrounds among the providers: themes name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from photopipe_dagster.providers.base import Capabilities, ProviderContext, ProviderPlugin

if TYPE_CHECKING:
    from photopipe_dagster.providers.white.provider import WhiteProvider


class Plugin(ProviderPlugin):
    """Pure white, made on this machine and for nothing."""

    name = "white"
    title = "White"
    capabilities = Capabilities(background=True, remote=False, generative=False, seed=True)

    def open(self, context: ProviderContext) -> WhiteProvider:
        """The provider."""
        from photopipe_dagster.providers.white.provider import WhiteProvider

        return WhiteProvider()
