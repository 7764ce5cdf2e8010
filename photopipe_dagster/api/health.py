"""Whether the API and what it stands on are well."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Final, Literal

import httpx
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from photopipe_dagster.api.errors import documented
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.security import may_see_details
from photopipe_dagster.api.state import State
from photopipe_dagster.core.errors import RateLimitError, TargetError
from photopipe_dagster.core.plugins import Plugin
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.providers.base import ProviderContext
from photopipe_dagster.runtime.providers import providers_in_use
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.targets.base import TargetContext, TargetPlugin
from photopipe_dagster.targets.registry import TARGETS

PROBE_SECONDS: Final = 5.0
"""A part that takes longer to answer is not connected."""

REMEMBERED_SECONDS: Final = 15.0
"""How long an answer is good for: asking the parts costs, and anybody may ask us."""

OUTSIDE_REMEMBERED_SECONDS: Final = 120.0
"""Answers of services count against the same limits of requests as photos do."""

SENSOR_DAEMON: Final = "SENSOR"
"""The daemon that takes photos up; Dagster's name for it."""

_log = logging.getLogger(__name__)

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """How the API is, and for a token with the scope `read` each part that it stands on.

    `uptime` is in seconds. Anyone who has no token is told `status` alone.

    `providers` has those in use, and `targets` each kind of shop by its name; `freepik` and
    `shopify` are among them. `down` names the services that photos wait for, each with the reason;
    it is left out if there are none.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["Health"]})

    status: Literal["healthy", "degraded"]
    uptime: int | None = None
    database: PartStatus | None = None
    s3: PartStatus | None = None
    freepik: PartStatus | None = None
    shopify: PartStatus | None = None
    targets: dict[str, PartStatus] = {}
    daemon: PartStatus | None = None
    providers: dict[str, PartStatus] = {}
    down: dict[str, str] = {}


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Probe:
    """Asks one part, one at a time and not too often.

    Args:
        name: The part, for the log.
        ask: Asks it; any error means that it is unreachable.
        remembered_seconds: How long its answer is good for.
        clock: Seconds of a monotonic clock; tests pass their own.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[PartStatus]],
        remembered_seconds: float = REMEMBERED_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._ask = ask
        self._remembered_seconds = remembered_seconds
        self._clock = clock
        self._turn = asyncio.Lock()
        self._known: tuple[float, PartStatus] | None = None

    async def status(self) -> PartStatus:
        """How the part is, or was a moment ago."""
        async with self._turn:
            if self._known is None or self._clock() - self._known[0] >= self._remembered_seconds:
                self._known = (self._clock(), await self._asked())
            return self._known[1]

    async def _asked(self) -> PartStatus:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._ask()
        except Exception as error:  # whatever it is, the part does not work
            # Not the error's text: a driver's may name the database's user and host.
            _log.warning("Health: %s is unreachable (%s).", self._name, type(error).__name__)
            return "unreachable"


class Probes:
    """The parts that `/health` tells about.

    Args:
        transport: Replaces the network in tests.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: ObjectStore,
        lineage: Lineage,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        def service(plugin: Plugin, ask: Callable[[], Awaitable[PartStatus]]) -> Probe:
            return Probe(plugin.title, ask, OUTSIDE_REMEMBERED_SECONDS)

        provided = ProviderContext(settings, transport=transport)
        self.providers = {
            each.name: service(each, partial(each.probe, provided))
            for each in providers_in_use(settings)
        }
        targeted = TargetContext(settings, transport=transport)
        self.targets = {
            each.name: service(each, partial(_ask_target, each, targeted)) for each in TARGETS
        }
        self.parts = {
            "database": Probe(
                "the database", lambda: _works(lambda: ledger.database.one(text("SELECT 1")))
            ),
            "s3": Probe("the object store", lambda: _works(lambda: store.check())),
            "daemon": Probe("Dagster's daemon", partial(asyncio.to_thread, _ask_daemon, lineage)),
        }


@router.get(
    "/health",
    response_model_exclude_defaults=True,
    openapi_extra={"security": [{}]},  # a token may be sent, and need not
    responses={
        **documented(429),
        503: {"model": Health, "description": "A part is not well."},
    },
)
async def health(
    request: Request,
    response: Response,
    state: State,
    details: Annotated[bool, Depends(may_see_details)],
) -> Health:
    """Tell how the API and its parts are: 503 where one of them does not work.

    For monitors, which need no token: they are told `status`, and a token of each part. A load
    balancer asks `/health/live`: webhooks are still taken while a provider or the object store is
    away, and must be.
    """
    probes: Probes = request.app.state.probes
    groups = (probes.parts, probes.providers, probes.targets)
    asked = [probe for group in groups for probe in group.values()]
    found = await asyncio.gather(*(probe.status() for probe in asked))
    answers = iter(found)
    statuses, providers, targets = ({name: next(answers) for name in group} for group in groups)
    down = {}
    if statuses["database"] == "connected":
        breakers = await asyncio.to_thread(state.ledger.breakers.down)
        down = {breaker.name: breaker.describe() for breaker in breakers}
    well = not down and {"connected", "not configured"}.issuperset(found)
    if not well:
        response.status_code = 503
    status: Literal["healthy", "degraded"] = "healthy" if well else "degraded"
    if not details:
        return Health(status=status)
    return Health(
        status=status,
        uptime=int(time.monotonic() - state.started),
        # Fields of their own by the specification.
        freepik=providers.get("freepik", "not configured"),
        shopify=targets.get("shopify", "not configured"),
        providers=providers,
        targets=targets,
        down=down,
        **statuses,
    )


@router.get("/health/live")
async def live() -> Alive:
    """Tell that the process answers; asks nobody else."""
    return Alive()


async def _works(use: Callable[[], object]) -> PartStatus:
    """Use a part, in a thread; it works unless that raises."""
    await asyncio.to_thread(use)
    return "connected"


async def _ask_target(plugin: TargetPlugin, context: TargetContext) -> PartStatus:
    """Ask whether pictures may be published; a shop that refuses reads as unauthorized."""
    if plugin.shop(context.settings) is None:
        return "not configured"
    try:
        await plugin.probe(context)
    except RateLimitError:
        return "connected"  # asked to slow down, it is there anyway
    except TargetError:
        return "unauthorized"
    return "connected"


def _ask_daemon(lineage: Lineage) -> PartStatus:
    """Whether the daemon that takes photos up has shown a sign of life."""
    if lineage.instance is None:
        return "not configured"
    status = lineage.instance.get_daemon_statuses([SENSOR_DAEMON])[SENSOR_DAEMON]
    return "connected" if status.healthy else "unreachable"
