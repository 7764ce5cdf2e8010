"""A worker that dies when it is told to: the process that `benchmarks.chaos` kills.

It does what the daemon and a run do together: one tick of the sensor, then the runs that the tick
asks for. On its way it passes named points: every request (before it is sent, while the service is
at work, when the answer has come, when it has been read), every stage, every write to the ledger
and to the store. At the chosen one it sends itself SIGKILL: nothing is flushed, closed or caught.
Or it sends itself SIGSTOP, moves the clock, or kills the API or the door of the provider.

The points are put around public functions from here; the product knows nothing of them.
"""

from __future__ import annotations

import functools
import json
import os
import re
import secrets
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import dagster as dg
import httpx
from sqlalchemy import Engine, event

from photopipe_dagster.core.photo import STAGES, PhotoKey
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.assets.photos import STAGE_FUNCTIONS
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.dispatch import photo_dispatch
from photopipe_dagster.ledger.catalogue import Catalogue
from photopipe_dagster.ledger.jobs.dispatches import Dispatches
from photopipe_dagster.ledger.jobs.leases import Leases
from photopipe_dagster.ledger.jobs.transitions import Transitions
from photopipe_dagster.ledger.money.spending import Spending
from photopipe_dagster.net.transport import AiohttpTransport
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.pipeline.runner import Pipeline, StageFunction
from photopipe_dagster.publishing.approval import Held
from photopipe_dagster.runtime.services import shared_ledger
from photopipe_dagster.storage.local import LocalStore

POINTS_FILE: Final = "points.txt"
"""In the order's folder: one line for each point that was passed, the last one at the end."""

DURING_SECONDS: Final = 0.03
"""How long after sending a request a worker dies "during" it; the simulator answers later."""

_PATHS: Final = (
    ("/threejms/files/", "threejms.files"),
    ("/freepik/v1/ai/beta/remove-background", "freepik.remove_background"),
    ("/freepik/v1/ai/beta/images/download/", "freepik.download"),
    ("/freepik/v1/ai/mystic/", "freepik.mystic.get"),
    ("/freepik/v1/ai/mystic", "freepik.mystic.create"),
    ("/freepik/cdn/", "freepik.mystic.download"),
    ("/shopify/_staged/", "shopify.staged_upload"),
)

_LEDGER: Final = (
    (Transitions, ("begin", "advance", "fail", "requeue")),
    (Leases, ("take", "release")),
    (Spending, ("reserve", "submitted", "settle")),
    (Catalogue, ("remember_product", "created_media", "attached_media")),
)


class How(StrEnum):
    """What happens at a point."""

    KILL = "kill"
    STOP = "stop"
    CLOCK = "clock"
    API = "api"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Kill:
    """Where something happens: when a worker passes a point for the n-th time, from 1.

    Args:
        how: What happens.
        seconds: How far a clock jumps.
    """

    point: str
    occurrence: int = 1
    how: How = How.KILL
    seconds: float = 0.0


class Clock:
    """How far the ledger's clock is ahead, for all processes that have the folder."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "clock.txt", os.O_RDWR | os.O_CREAT)

    @property
    def ahead(self) -> timedelta:
        """Of real time."""
        return timedelta(seconds=float(os.pread(self._file, 32, 0) or 0))

    def now(self) -> datetime:
        """What the ledger takes for now."""
        return datetime.now(UTC) + self.ahead

    def move(self, seconds: float) -> None:
        """Let it jump."""
        ahead = self.ahead.total_seconds() + seconds
        os.pwrite(self._file, f"{ahead:<32.3f}".encode(), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Order:
    """What one worker does.

    Args:
        folder: Where it notes the points that it passes, and where its clock is.
        environment: All that it sees of the environment.
        services: Where the process ids of the API and of the provider's door are.
        dagster: Runs through Dagster's job and a lasting instance; otherwise through the pipeline
            alone, which is several times quicker.
        kill: Where it dies, or what else happens; ``None`` to do all there is to do.
    """

    folder: Path
    environment: Mapping[str, str]
    services: Path
    dagster: bool = False
    kill: Kill | None = None


class Switch:
    """Notes each point that is passed, and lets happen at the chosen one what was ordered."""

    def __init__(self, order: Order, clock: Clock) -> None:
        self._kill = order.kill
        self._services = order.services
        self._clock = clock
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()
        notes = order.folder / POINTS_FILE
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def at(self, point: str) -> None:
        """Pass a point."""
        with self._lock:
            if self._chosen(point):
                self._strike()

    def after_a_while(self, point: str) -> None:
        """Pass a point that lies a little in the future."""
        with self._lock:
            if self._chosen(point):
                threading.Timer(DURING_SECONDS, self._die_at, (point,)).start()

    def _die_at(self, point: str) -> None:
        with self._lock:  # nothing else is passed between this note and the end
            os.write(self._notes, f"{point}\n".encode())
            self._strike()

    def _strike(self) -> None:
        if self._kill is None:
            return
        match self._kill.how:
            case How.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case How.STOP:
                os.kill(os.getpid(), signal.SIGSTOP)
            case How.CLOCK:
                self._clock.move(self._kill.seconds)
            case service:
                process = int((self._services / f"{service}.pid").read_text())
                os.kill(process, signal.SIGKILL)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with a point before it and one after it."""

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            full = name
            if name == "ledger advance":
                full = f"{name} to {args[2]}"
            elif name == "ledger settle":
                full = f"{name} {args[2]}"
            self.at(f"{full}: before")
            result = function(*args, **kwargs)
            self.at(f"{full}: after")
            return result

        return watched

    def _chosen(self, point: str) -> bool:
        self._passed[point] += 1
        os.write(self._notes, f"{point}\n".encode())  # not buffered: it outlives the process
        kill = self._kill
        return kill is not None and (kill.point, kill.occurrence) == (point, self._passed[point])


def run(order: Order) -> None:
    """One tick and its runs; the target of a fresh process."""
    os.environ.clear()
    os.environ.update(order.environment)
    os.chdir(order.folder)  # nobody's .env is read
    log = os.open(order.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    clock = Clock(order.folder)
    switch = Switch(order, clock)
    photopipe = PhotopipeResource()
    ledger = shared_ledger(photopipe.settings)
    ledger.database.now = clock.now
    _watch(switch)
    if order.dagster:
        _with_dagster(switch, photopipe)
    else:
        _without_dagster(switch, photopipe)
    switch.at("end of the worker")


def _with_dagster(switch: Switch, photopipe: PhotopipeResource) -> None:
    instance = dg.DagsterInstance.get()
    result = _tick(switch, instance, photopipe)
    if result is None:
        return
    for added in result.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions("photos", added.partition_keys)
    switch.at("sensor: partitions added")
    job = defs.resolve_job_def("photos")
    for request in result.run_requests or []:
        switch.at("run: begins")
        job.execute_in_process(
            instance=instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            raise_on_error=False,
        )
        switch.at("run: ended")


def _without_dagster(switch: Switch, photopipe: PhotopipeResource) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = _tick(switch, instance, photopipe)
    if result is None:
        return
    # An instance that has just been made knows no partition: each of the dispatch is a new one.
    added = result.dynamic_partitions_requests or []
    keys = [PhotoKey.parse(name) for request in added for name in request.partition_keys]
    run_id = secrets.token_hex(8)
    switch.at("run: begins")
    pipeline = Pipeline(photopipe.open_services, STAGE_FUNCTIONS, owner=run_id, run_id=run_id)
    for _ in pipeline.run(keys, STAGES):
        switch.at("run: event")
    switch.at("run: ended")


def _tick(
    switch: Switch, instance: dg.DagsterInstance, photopipe: PhotopipeResource
) -> dg.SensorResult | None:
    switch.at("sensor: tick begins")
    context = dg.build_sensor_context(
        instance=instance,
        resources={"photopipe": photopipe},
        repository_def=defs.get_repository_def(),
    )
    result = photo_dispatch(context)
    switch.at("sensor: tick ended")
    return result if isinstance(result, dg.SensorResult) else None


# --- the points ------------------------------------------------------------------------------


def _watch(switch: Switch) -> None:
    for kind, names in _LEDGER:
        for name in names:
            setattr(kind, name, switch.around(f"ledger {name}", getattr(kind, name)))
    Dispatches.take = switch.around(  # type: ignore[method-assign]
        "ledger dispatch", Dispatches.take
    )
    event.listen(Engine, "commit", lambda _: switch.at("database commit: before"))
    LocalStore.put = switch.around("store put", LocalStore.put)  # type: ignore[method-assign]
    os.replace = switch.around("store rename", os.replace)
    if not isinstance(STAGE_FUNCTIONS, dict):
        raise TypeError("the stages are expected in a dict")
    for stage, function in list(STAGE_FUNCTIONS.items()):
        STAGE_FUNCTIONS[stage] = _watched_stage(switch, stage, function)
    _watch_http(switch)


def _watched_stage(switch: Switch, stage: str, function: StageFunction) -> StageFunction:
    async def watched(photo: PhotoContext, *inputs: Any) -> StageResult[Any] | Held:
        switch.at(f"stage {stage}: begins")
        result = await function(photo, *inputs)
        switch.at(f"stage {stage}: ended")
        return result

    return watched


def _watch_http(switch: Switch) -> None:
    real: Callable[..., Awaitable[httpx.Response]] = AiohttpTransport.handle_async_request

    async def watched(self: AiohttpTransport, request: httpx.Request) -> httpx.Response:
        name = operation(request)
        switch.at(f"{name}: before")
        switch.after_a_while(f"{name}: during")
        response = await real(self, request)
        switch.at(f"{name}: answered")
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _WatchedStream(
                response.stream, functools.partial(switch.at, f"{name}: read")
            )
        return response

    AiohttpTransport.handle_async_request = watched  # type: ignore[method-assign]


class _WatchedStream(httpx.AsyncByteStream):
    """An answer's body, with a point at its end."""

    def __init__(self, stream: httpx.AsyncByteStream, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk
        self._ended()

    async def aclose(self) -> None:
        await self._stream.aclose()


def operation(request: httpx.Request) -> str:
    """What a request asks for, by the name that the simulators have for it."""
    path = request.url.path
    if request.method == "GET" and path == "/freepik/v1/ai/mystic":
        return "freepik.mystic.list"
    for start, name in _PATHS:
        if path.startswith(start):
            return name
    if path.endswith("/graphql.json"):
        field = re.search(r"\{\s*(\w+)", json.loads(request.content)["query"])
        if field is not None:
            return f"shopify.{field[1]}"
    raise ValueError(f"{request.method} {path} has no name: add it to _PATHS")


def passed(folder: Path) -> Sequence[str]:
    """The points that the workers of a folder have passed."""
    notes = folder / POINTS_FILE
    return notes.read_text().splitlines() if notes.exists() else []
