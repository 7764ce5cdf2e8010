"""Whether the API and what it stands on are well."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import httpx
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text

from photopipe_dagster.api.state import State
from photopipe_dagster.http import new_client
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.settings import Settings
from photopipe_dagster.storage.base import ObjectStore

PROBE_SECONDS: Final = 5.0
"""A part that takes longer to answer is not connected."""

REMEMBERED_SECONDS: Final = 15.0
"""How long an answer is good for: asking the parts costs, and anybody may ask us."""

FREEPIK_REMEMBERED_SECONDS: Final = 120.0
"""Its answers count against the same limit of requests as pictures do."""

PartStatus = Literal["connected", "unreachable", "unauthorized", "not configured"]

_log = logging.getLogger(__name__)

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """How the API is, and each part that it stands on. `uptime` is in seconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "healthy",
                "uptime": 86400,
                "database": "connected",
                "s3": "connected",
                "freepik": "not configured",
            }
        }
    )

    status: Literal["healthy", "degraded"]
    uptime: int
    database: PartStatus
    s3: PartStatus
    freepik: PartStatus


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
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        async def database() -> PartStatus:
            await asyncio.to_thread(ledger.database.one, text("SELECT 1"))
            return "connected"

        async def s3() -> PartStatus:
            await asyncio.to_thread(store.check)
            return "connected"

        async def freepik() -> PartStatus:
            return await _ask_freepik(settings, transport)

        self.database = Probe("the database", database)
        self.s3 = Probe("the object store", s3)
        self.freepik = Probe("Freepik", freepik, FREEPIK_REMEMBERED_SECONDS)


@router.get("/health", responses={503: {"model": Health, "description": "A part is not well."}})
async def health(request: Request, response: Response, state: State) -> Health:
    """Tell how the API and its parts are: 503 where one of them does not work.

    For monitors. A load balancer asks `/health/live`: webhooks are still taken while Freepik or
    the object store is away, and must be.
    """
    probes: Probes = request.app.state.probes
    database, s3, freepik = await asyncio.gather(
        probes.database.status(), probes.s3.status(), probes.freepik.status()
    )
    well = {database, s3, freepik} <= {"connected", "not configured"}
    if not well:
        response.status_code = 503
    return Health(
        status="healthy" if well else "degraded",
        uptime=int(time.monotonic() - state.started),
        database=database,
        s3=s3,
        freepik=freepik,
    )


@router.get("/health/live")
async def live() -> Alive:
    """Tell that the process answers; asks nobody else."""
    return Alive()


async def _ask_freepik(
    settings: Settings, transport: httpx.AsyncBaseTransport | None
) -> PartStatus:
    """List Mystic tasks: there is no ping, and this is the cheapest call that needs the key."""
    if settings.freepik_api_key is None or "freepik" not in (
        settings.cutouts,
        settings.backgrounds,
    ):
        return "not configured"
    headers = {settings.freepik_api_key_header: settings.freepik_api_key.get_secret_value()}
    url = settings.freepik_api_url.rstrip("/")
    async with new_client(base_url=url, headers=headers, transport=transport) as client:
        response = await client.get("/v1/ai/mystic")
    if response.status_code in (401, 403):
        return "unauthorized"
    # Asked to slow down, it is there all the same.
    return "connected" if response.is_success or response.status_code == 429 else "unreachable"
