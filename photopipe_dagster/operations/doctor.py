"""Checks that everything that is configured works, one finding each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from photopipe_dagster.core.errors import ConfigurationError, PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.sources.base import SourceContext, SourcePlugin
from photopipe_dagster.sources.registry import sources_in_use
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.targets.base import TargetContext
from photopipe_dagster.targets.registry import required_target


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is.

    Args:
        what: The part.
        says: How it is, and what to do if it is not well.
    """

    what: str
    ok: bool
    says: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at every part in turn."""
    yield _checked("Ledger", lambda: _ledger(settings))
    yield _checked("Object store", lambda: _store(settings))
    yield _checked("AI providers", lambda: _providers(settings))
    yield _shop(settings)
    yield _checked("Services that are down", lambda: _breakers(settings))
    for plugin in sources_in_use(settings):
        if plugin.webhook is not None:
            yield _checked(f"{plugin.title} webhook", partial(_webhook, plugin, settings))
        if plugin.polling is not None:
            yield _checked(f"{plugin.title} polling", partial(_polling, plugin, settings))


def _checked(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, ok=True, says=check())
    except PhotopipeError as error:
        return Finding(what, ok=False, says=str(error))
    except Exception as error:
        # Not the error's text: a driver's may hold the database's password.
        return Finding(what, ok=False, says=f"cannot be used ({type(error).__name__})")


def _ledger(settings: Settings) -> str:
    stats = Ledger.open(settings).jobs.stats()
    return f"{stats.total} jobs, {stats.total_cost} USD"


def _store(settings: Settings) -> str:
    object_store(settings).check()
    where = f"bucket {settings.s3_bucket}" if settings.s3_bucket else "a local folder"
    return f"{where}, readable and writable"


def _providers(settings: Settings) -> str:
    if "local" in (settings.cutouts, settings.backgrounds):
        from photopipe_dagster.imaging.segmentation.model import ensure_model

        if settings.cutout_model_path is None:
            ensure_model(settings.data_dir / "models")
    return f"cut-outs by {settings.cutouts}, backgrounds by {settings.backgrounds}"


def _shop(settings: Settings) -> Finding:
    try:
        shop = required_target(settings)
    except ConfigurationError as error:
        return Finding("Shop", ok=False, says=str(error))
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
