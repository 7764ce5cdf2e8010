"""The providers that settings and themes ask for: which they are, what they take, and opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final, cast

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.scene_view import UPLOAD
from photopipe_dagster.providers.base import (
    BackgroundProvider,
    CutoutProvider,
    ProviderContext,
    ProviderPlugin,
)
from photopipe_dagster.providers.prices import PossiblePrices, ProviderJob
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.scenes import SceneBackgrounds
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import Theme

_CALLED: Final = {"cutout": "cut-outs", "background": "backgrounds"}


def cutout_plugins(settings: Settings) -> tuple[ProviderPlugin, ...]:
    """Who cuts out, in the order in which they are asked.

    Raises:
        ConfigurationError: There is no such provider, or it cannot do that; says who names it.
    """
    named_by = "CUTOUT_PROVIDER" if settings.cutout_provider else "AI_PROVIDER"
    return _route("cutout", settings.cutout_route, settings.cutouts, "CUTOUT_ROUTE", named_by)


def cutout_plugin(settings: Settings) -> ProviderPlugin:
    """Who cuts out first, see `cutout_plugins`."""
    return cutout_plugins(settings)[0]


def background_plugins(
    settings: Settings, theme: Theme | None = None
) -> tuple[ProviderPlugin, ...]:
    """Who makes the backgrounds: whom the theme names, else whom the settings name, in order.

    Raises:
        ConfigurationError: There is no such provider, or it cannot do that; says who names it.
    """
    if theme is not None and theme.background is not None:
        return (_plugin("background", theme.background, f"the theme {theme.name!r}"),)
    named_by = "BACKGROUND_PROVIDER" if settings.background_provider else "AI_PROVIDER"
    route, first = settings.background_route, settings.backgrounds
    return _route("background", route, first, "BACKGROUND_ROUTE", named_by)


def background_plugin(settings: Settings, theme: Theme | None = None) -> ProviderPlugin:
    """Who makes the backgrounds first, see `background_plugins`."""
    return background_plugins(settings, theme)[0]


def _route(
    job: ProviderJob, route: Sequence[str], single: str, variable: str, named_by: str
) -> tuple[ProviderPlugin, ...]:
    if not route:
        return (_plugin(job, single, named_by),)
    if len(set(route)) < len(route):
        raise ConfigurationError(f"{variable} names a provider twice; each is asked once.")
    return tuple(_plugin(job, name, variable) for name in route)


def _plugin(job: ProviderJob, name: str, named_by: str) -> ProviderPlugin:
    if name in PROVIDERS and getattr(PROVIDERS.get(name).capabilities, job):
        return PROVIDERS.get(name)
    able = ", ".join(each.name for each in PROVIDERS if getattr(each.capabilities, job))
    if name not in PROVIDERS:
        raise ConfigurationError(f"Unknown provider {name!r} in {named_by}. Available: {able}.")
    raise ConfigurationError(
        f"The provider {name!r} in {named_by} makes no {_CALLED[job]}. Available: {able}."
    )


def remote_jobs(settings: Settings) -> frozenset[ProviderJob]:
    """What of a photo is made by a service, and not on this machine."""
    makers: dict[ProviderJob, ProviderPlugin] = {
        "cutout": cutout_plugin(settings),
        "background": background_plugin(settings),
    }
    return frozenset(job for job, maker in makers.items() if maker.capabilities.remote)


def providers_in_use(settings: Settings) -> tuple[ProviderPlugin, ...]:
    """Those that the settings or a theme name, each once.

    Raises:
        ConfigurationError: There is no such provider, or it cannot do what is asked of it.
    """
    return tuple(dict.fromkeys((*cutout_plugins(settings), *_makers(settings))))


def _makers(settings: Settings) -> Iterator[ProviderPlugin]:
    yield from background_plugins(settings)
    # Those of the shop's own name none that is paid: see `operations.themes`.
    for theme in THEMES.values():
        yield from background_plugins(settings, theme)


def possible_prices(settings: Settings, moment: datetime) -> PossiblePrices:
    """What a photo may cost at a moment. Backgrounds that are free do not count beside others."""
    makers = dict.fromkeys(_makers(settings))
    backgrounds = tuple(
        usd for maker in makers for usd in maker.prices(settings).of("background", moment) if usd
    )
    cutouts = tuple(
        usd
        for maker in cutout_plugins(settings)
        for usd in maker.prices(settings).of("cutout", moment)
    )
    return PossiblePrices(cutouts, backgrounds or (Decimal(0),))


def is_generative(provider: str | None) -> bool:
    """Whether a background of a provider comes from a generative model.

    One that is not installed any more, or is no provider of this installation, counts as one.
    """
    if provider == UPLOAD:
        return False
    if provider is None or provider not in PROVIDERS:
        return True
    return PROVIDERS.get(provider).capabilities.generative


class Providers:
    """The providers of one event loop, each opened once, for whatever it does.

    Raises:
        ConfigurationError: One cannot work with these settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scenes = SceneBackgrounds(partial(object_store, settings))
        self._context = ProviderContext(settings)
        self._opened: dict[ProviderPlugin, CutoutProvider | BackgroundProvider] = {}
        # Its capabilities say what it can do: `_plugin` has seen to that.
        self.cutout_route = tuple(
            cast("CutoutProvider", self._open(plugin)) for plugin in cutout_plugins(settings)
        )
        self.cutouts = self.cutout_route[0]
        for plugin in background_plugins(settings):
            self._open(plugin)

    def backgrounds(self, theme: Theme) -> BackgroundProvider:
        """Who makes the backgrounds of a theme."""
        return self.background_route(theme)[0]

    def background_route(self, theme: Theme) -> Sequence[BackgroundProvider]:
        """Who makes the backgrounds of a theme, in the order in which they are asked."""
        if theme.scenes:
            return (self._scenes,)
        plugins = background_plugins(self._settings, theme)
        return [cast("BackgroundProvider", self._open(plugin)) for plugin in plugins]

    async def aclose(self) -> None:
        """Close each once."""
        async with AsyncExitStack() as stack:
            for provider in self._opened.values():
                stack.push_async_callback(provider.aclose)

    def _open(self, plugin: ProviderPlugin) -> CutoutProvider | BackgroundProvider:
        if plugin not in self._opened:
            self._opened[plugin] = plugin.open(self._context)
        return self._opened[plugin]
