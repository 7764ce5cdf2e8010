"""Which providers the settings ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.rate_limit import shared_bucket
from photopipe_dagster.providers.base import BackgroundProvider, CutoutProvider


class _Provider(CutoutProvider, BackgroundProvider, Protocol):
    """Does both jobs."""


@dataclass(frozen=True, slots=True)
class Providers:
    """Who cuts out and who makes backgrounds; possibly one and the same."""

    cutouts: CutoutProvider
    backgrounds: BackgroundProvider

    async def aclose(self) -> None:
        """Close each once."""
        try:
            await self.cutouts.aclose()
        finally:
            shared: object = self.cutouts
            if self.backgrounds is not shared:
                await self.backgrounds.aclose()


def cutout_provider(settings: Settings) -> CutoutProvider:
    """The provider that CUTOUT_PROVIDER, or else AI_PROVIDER, names.

    Raises:
        ConfigurationError: It cannot work with these settings.
    """
    return _provider(settings.cutouts, settings)


def background_provider(settings: Settings) -> BackgroundProvider:
    """The provider that BACKGROUND_PROVIDER, or else AI_PROVIDER, names.

    Raises:
        ConfigurationError: It cannot work with these settings.
    """
    return _provider(settings.backgrounds, settings)


def make_providers(settings: Settings) -> Providers:
    """Both providers; one instance if they have the same name.

    Raises:
        ConfigurationError: One cannot work with these settings.
    """
    cutouts = _provider(settings.cutouts, settings)
    if settings.backgrounds == settings.cutouts:
        return Providers(cutouts, cutouts)
    return Providers(cutouts, _provider(settings.backgrounds, settings))


def _provider(name: str, settings: Settings) -> _Provider:
    # Imported when chosen: the local one brings an inference engine along, and nobody who pays
    # for Freepik should wait for that.
    match name:
        case "freepik":
            from photopipe_dagster.providers.freepik.provider import FreepikProvider

            share = settings.freepik_requests_per_minute / settings.worker_processes
            limiter = shared_bucket(f"freepik {settings.freepik_api_url}", share)
            return FreepikProvider.from_settings(settings, limiter=limiter)
        case "local":
            from photopipe_dagster.providers.local.provider import LocalProvider

            return LocalProvider.from_settings(settings)
    raise ConfigurationError(f"AI_PROVIDER names {name!r}; there are local and freepik.")
