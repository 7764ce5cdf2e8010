"""What a route makes of one job: who is asked, who was left and why, and who is down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.providers.base import ProviderPlugin
from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster.runtime.circuit_breaker import provider_service
from photopipe_dagster.runtime.providers import background_plugins, cutout_plugins


@dataclass(frozen=True, slots=True)
class RouteStep:
    """One provider of a route, as one job sees it.

    Args:
        stage: MASK or BACKGROUND.
        provider: Its name.
        title: As people call it.
        price: The most that it takes for one, USD.
        asked: Whether it is the one that is asked now, or was last.
        left: Why it was left; ``None``: it was not.
        down: How its breaker stands; ``None``: it is up, or works on this machine.
    """

    stage: Stage
    provider: str
    title: str
    price: Decimal
    asked: bool
    left: str | None
    down: str | None


def explain_routes(settings: Settings, ledger: Ledger, job: Job) -> list[RouteStep]:
    """The routes of a job's cut-out and background, step by step.

    Raises:
        ConfigurationError: A provider of the settings cannot do what is asked of it.
    """
    makers = _background_makers(settings, ledger, job)
    return [
        *_steps(settings, ledger, job, Stage.MASK, "cutout", cutout_plugins(settings)),
        *_steps(settings, ledger, job, Stage.BACKGROUND, "background", makers),
    ]


def _background_makers(settings: Settings, ledger: Ledger, job: Job) -> Sequence[ProviderPlugin]:
    """Who makes the backgrounds of a job's theme; nobody where it has scenes, or is gone."""
    try:
        theme = ledger.themes.registry(settings).get(job.key.theme)
    except PhotoRejectedError:
        return ()
    return () if theme.scenes else background_plugins(settings, theme)


def _steps(
    settings: Settings,
    ledger: Ledger,
    job: Job,
    stage: Stage,
    what: ProviderJob,
    route: Sequence[ProviderPlugin],
) -> Iterator[RouteStep]:
    hops = ledger.routes.of_place(job.key.object_key(stage, job.variant))
    left = {hop.provider: hop.reason for hop in hops}
    names = [plugin.name for plugin in route]
    current = hops[-1].next if hops and hops[-1].next in names else next(iter(names), None)
    now = ledger.database.now()
    for plugin in route:
        breaker = ledger.breakers.get(provider_service(plugin.name, stage))
        yield RouteStep(
            stage,
            plugin.name,
            plugin.title,
            max(plugin.prices(settings).of(what, now)),
            plugin.name == current,
            left.get(plugin.name),
            breaker.describe() if breaker is not None and breaker.is_open else None,
        )
