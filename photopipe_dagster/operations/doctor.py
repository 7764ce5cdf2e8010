"""Checks that everything that is configured works, one finding each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from photopipe_dagster.core.errors import ConfigurationError, ErrorCode, PhotopipeError
from photopipe_dagster.core.money import usd
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.database import described
from photopipe_dagster.providers.base import ProviderContext, ProviderPlugin
from photopipe_dagster.runtime.providers import (
    background_plugin,
    cutout_plugin,
    providers_in_use,
)
from photopipe_dagster.sources.base import SourceContext, SourcePlugin
from photopipe_dagster.sources.registry import sources_in_use
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.targets.base import TargetContext
from photopipe_dagster.targets.registry import required_target
from photopipe_dagster.themes.builtin import THEMES


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """How one part is.

    Args:
        what: The part.
        says: How it is, and what to do if it is not well.
    """

    what: str
    ok: bool
    says: str


def examine(settings: Settings) -> Iterator[DoctorCheck]:
    """Look at every part in turn."""
    yield _checked("Ledger", lambda: _ledger(settings))
    yield _checked("Themes", lambda: _themes(settings))
    yield _checked("Object store", lambda: _store(settings))
    for provider in providers_in_use(settings):
        yield _checked(f"Provider {provider.name}", partial(_provider, settings, provider))
    yield _shop(settings)
    yield _checked("Services that are down", lambda: _breakers(settings))
    for plugin in sources_in_use(settings):
        if plugin.webhook is not None:
            yield _checked(f"{plugin.title} webhook", partial(_webhook, plugin, settings))
        if plugin.polling is not None:
            yield _checked(f"{plugin.title} polling", partial(_polling, plugin, settings))


def _checked(what: str, check: Callable[[], str]) -> DoctorCheck:
    try:
        return DoctorCheck(what, ok=True, says=check())
    except PhotopipeError as error:
        return DoctorCheck(what, ok=False, says=str(error))
    except (DBAPIError, PoolTimeout) as error:
        return DoctorCheck(what, ok=False, says=described(error))
    except Exception as error:
        # Not the error's text: a driver's may hold the database's password.
        return DoctorCheck(what, ok=False, says=f"cannot be used ({type(error).__name__})")


def _ledger(settings: Settings) -> str:
    stats = Ledger.open(settings).jobs.stats()
    return f"{stats.total} jobs, {usd(stats.total_cost)} USD"


def _themes(settings: Settings) -> str:
    return f"{len(Ledger.open(settings).themes.registry(settings).offered)} offered"


def _store(settings: Settings) -> str:
    object_store(settings).check()
    where = f"bucket {settings.s3_bucket}" if settings.s3_bucket else "a local folder"
    return f"{where}, readable and writable"


def _provider(settings: Settings, plugin: ProviderPlugin) -> str:
    plugin.check(settings)
    plugin.prepare(settings)
    status = asyncio.run(plugin.probe(ProviderContext(settings)))
    if status != "connected":
        raise PhotopipeError(f"{status}. {plugin.advice.get(ErrorCode.API_ERROR, '')}")
    prices = plugin.prices(settings).at(datetime.now(UTC))
    taken = ", ".join(f"{name} {price} USD" for name, price in prices.items()) or "free"
    return f"{', '.join(_work(settings, plugin))}; {taken}"


def _work(settings: Settings, plugin: ProviderPlugin) -> Iterator[str]:
    """What it is in use for."""
    if plugin is cutout_plugin(settings):
        yield "cut-outs"
    if plugin is background_plugin(settings):
        yield "backgrounds"
    named = [theme.name for theme in THEMES.values() if theme.background == plugin.name]
    if named:
        yield f"backgrounds of {', '.join(named)}"


def _shop(settings: Settings) -> DoctorCheck:
    try:
        shop = required_target(settings)
    except ConfigurationError as error:
        return DoctorCheck("Shop", ok=False, says=str(error))
    return _checked(shop.title, lambda: asyncio.run(shop.probe(TargetContext(settings))))


def _breakers(settings: Settings) -> str:
    down = Ledger.open(settings).breakers.down()
    if down:
        raise PhotopipeError("; ".join(f"{each.name}: {each.describe()}" for each in down))
    return "none"


def _webhook(plugin: SourcePlugin, settings: Settings) -> str:
    if plugin.open_webhook(settings).verifies:
        return "signed"
    return "NOT signed: anybody may announce photos; development only"


def _polling(plugin: SourcePlugin, settings: Settings) -> str:
    schedule = plugin.schedule(settings)
    if schedule.off is not None:
        return f"off: {schedule.off}"
    asyncio.run(_list(plugin, settings))
    return f"every {schedule.every_seconds} s, answers"


async def _list(plugin: SourcePlugin, settings: Settings) -> None:
    """Read the first page of what is new: nothing, as a rule."""
    async with plugin.open(SourceContext(settings)) as source:
        pages = source.list_since(datetime.now(UTC))
        await anext(pages, None)
