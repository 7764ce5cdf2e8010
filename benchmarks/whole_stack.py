"""What a photo costs the whole of Photopipe, and what Photopipe costs while nothing is to be done.

Starts what `photopipe dev` starts, announces photos by webhook, and waits until all are in the
shop. Counts the CPU time of every process, those that have ended included, by part; the simulators
are counted apart. Two ways of work: with everything on, and without what a bare pipeline has not
(gates and second opinion). The second one keeps the shadow.

With ``--peer FOLDER`` a pipeline in Node (its ``server.mjs``, modules installed) takes turns
with it, over the same simulators and photos:

    python -m benchmarks.whole_stack --photos 200 --rounds 5 --peer FOLDER
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.sandbox import everything, simulators, store_in_postgres
from benchmarks.throughput_worker import photographer
from photopipe_dagster.demo.environment import prepare_dagster_home
from photopipe_dagster.demo.process_group import HOST, Program, free_port
from photopipe_dagster.demo.sandbox_client import SandboxClient
from photopipe_dagster.demo.seed import WEBHOOK_PATH
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.support.postgres import new_database, running_postgres

EVERYTHING, BARE, PEER = "everything on", "no gates", "peer"

WAYS: Final[Mapping[str, Mapping[str, str]]] = {
    EVERYTHING: {},
    BARE: {"QUALITY_GATES": "off", "SECOND_OPINION": "off"},
}
"""Settings of each way of work."""

SANDBOX, SERVER, RUNS, CODE_SERVER, FORK_SERVER, OTHERS = (
    "simulators",
    "database server",
    "runs",
    "code server",
    "fork server",
    "others",
)

_START_RUNS: Final = (CODE_SERVER, FORK_SERVER)

_PARTS: Final = {
    "server.mjs": PEER,
    "photopipe_dagster sandbox": SANDBOX,
    "photopipe_dagster api": "API",
    "dagster_webserver": "webserver",
    "dagster._daemon": "daemon",
    "dagster api grpc": CODE_SERVER,
    "fork_server": FORK_SERVER,
    "postgres": SERVER,
}
"""By words of a process's command."""

PARTS: Final = (
    *("API", "daemon", CODE_SERVER, "webserver", FORK_SERVER, RUNS, OTHERS),
    *(PEER, SERVER, SANDBOX),
)

Ready = tuple[SandboxClient, str, Callable[[], int]]
"""The simulators, the URL that takes webhooks, and how many photos are in the shop."""

_SETTLED_SECONDS: Final = 10
"""What follows a start: heartbeats, a first look at everything."""

_LIMIT_SECONDS: Final = 900


@dataclass(slots=True)
class Measured:
    """What the rounds of one way of work took, a number a round.

    Args:
        cpu: CPU seconds a photo, by part.
        idle: CPU seconds a second, by part, while nothing is to be done.
        rate: Photos a second, from the first webhook until the last one is in the shop.
    """

    cpu: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    idle: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rate: list[float] = field(default_factory=list)

    @staticmethod
    def whole(numbers: Mapping[str, list[float]]) -> list[float]:
        """Of each round, the sum of all parts but the simulators."""
        ours = (each for part, each in numbers.items() if part != SANDBOX)
        return [sum(parts) for parts in zip(*ours, strict=True)]


def main() -> None:
    """Measure and print; ``--json FILE`` keeps the numbers of each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--side", type=int, default=1200, help="pixels of a photo")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--idle", type=float, default=30, help="seconds")
    parser.add_argument("--only", choices=WAYS, action="append")
    parser.add_argument("--postgres", action="store_true", help="for Dagster and the ledger")
    parser.add_argument("--peer", type=Path, metavar="FOLDER", help="of server.mjs")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="10 photos, 5 s of rest")
    options = parser.parse_args()
    if options.quick:
        options.photos, options.idle = 10, 5
    results: dict[str, Measured] = defaultdict(Measured)
    for _ in range(options.rounds):
        for name in options.only or WAYS:
            ours = partial(photopipe, settings=WAYS[name], postgres=options.postgres)
            measure(results[name], options, ours)
            if options.peer:
                measure(results[PEER], options, partial(peer, program=options.peer.resolve()))
    Console().print(table(results, options.photos, options.side))
    if options.json:
        kept = {name: [each.cpu, each.idle, each.rate] for name, each in results.items()}
        options.json.write_text(json.dumps(kept, indent=1))


def measure(
    into: Measured,
    options: argparse.Namespace,
    started: Callable[[Path], AbstractContextManager[Ready]],
) -> None:
    """Start something that takes photos, let it rest, and let it work."""
    paint = photographer(options.side)
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as (shop, url, done):
        ids = []
        for number in range(options.photos):
            sku = f"SKU-{number}"
            shop.add_product(sku, sku)
            ids.append(shop.add_photo(sku, paint(number)))
        time.sleep(_SETTLED_SECONDS)
        before = cpu_by_part()
        time.sleep(options.idle)
        idle = spent_since(before, options.idle)
        before, began = cpu_by_part(), time.perf_counter()
        shop.push(ids, url + WEBHOOK_PATH)
        wait_until(lambda: done() == options.photos)
        seconds = time.perf_counter() - began
        wait_until(lambda: not runs_at_work())
        for part, value in spent_since(before, options.photos).items():
            into.cpu[part].append(value)
        for part, value in idle.items():
            into.idle[part].append(value)
        into.rate.append(options.photos / seconds)


@contextmanager
def photopipe(folder: Path, settings: Mapping[str, str], *, postgres: bool) -> Iterator[Ready]:
    """All that `photopipe dev` starts, without what would hold it back: no quota is asked for."""
    with ExitStack() as stack:
        home = prepare_dagster_home(folder / "dagster")
        variables = {"FREEPIK_REQUESTS_PER_MINUTE": "600000", **settings}
        if postgres:
            server = stack.enter_context(running_postgres())
            variables["DATABASE_URL"] = stack.enter_context(new_database(server))
            store_in_postgres(home, stack.enter_context(new_database(server)))
        done = JobQuery(statuses=(JobStatus.DONE,))
        shop, url, ledger = stack.enter_context(everything(folder, **variables))
        yield shop, url, lambda: ledger.jobs.count(done)


@contextmanager
def peer(folder: Path, program: Path) -> Iterator[Ready]:
    """The pipeline in Node."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    with simulators(folder) as (shop, seen, stack), httpx.Client(trust_env=False) as client:
        variables = seen | {"PORT": str(port), "DATA_DIR": str(folder / "peer")}
        command = ("node", str(program / "server.mjs"))
        stats = f"{url}/api/jobs/stats"
        stack.start(Program("peer", command, health=stats, environment=variables))
        stack.wait_until_ready()

        def done() -> int:
            nonlocal failed
            by_status = client.get(stats).json()["byStatus"]
            failed = int(by_status.get("FAILED", 0))
            return int(by_status.get("DONE", 0)) + failed

        failed = 0
        yield shop, url, done
        if failed:
            print(f"{failed} photos of the peer failed, and count as made")


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again."""
    until = time.monotonic() + _LIMIT_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"not done after {_LIMIT_SECONDS} s")
        time.sleep(0.2)


# --- counting --------------------------------------------------------------------------------


def cpu_by_part() -> dict[str, float]:
    """CPU seconds so far, user and system, of all processes started here, by part."""
    spent = dict.fromkeys(PARTS, 0.0)
    for part, process in _processes():
        with suppress(psutil.Error):
            times = process.cpu_times()
            spent[part] += times.user + times.system
            ended = RUNS if part in _START_RUNS else part
            spent[ended] += times.children_user + times.children_system
    return spent


def runs_at_work() -> bool:
    """Whether the process of a run lives."""
    return any(part == RUNS for part, _ in _processes())


def _processes() -> Iterator[tuple[str, psutil.Process]]:
    """All processes that were started here, and the part that each belongs to."""
    todo = [("", process) for process in psutil.Process().children()]
    while todo:
        above, process = todo.pop()
        with suppress(psutil.Error):
            try:
                command = process.cmdline()
            except psutil.ZombieProcess:  # it counts until somebody has waited for it
                command = []
            part = part_of(above, command or [process.name()])
            todo += [(part, child) for child in process.children()]
            yield part, process


def part_of(above: str, command: Sequence[str]) -> str:
    """Which part a process belongs to.

    Args:
        above: The part of the process that started it; empty for this one.
        command: Its program and arguments.
    """
    words = " ".join(command)
    if "resource_tracker" in words:  # of multiprocessing: it stays
        return above
    if above in (*_START_RUNS, RUNS):
        return RUNS
    return next((part for word, part in _PARTS.items() if word in words), above or OTHERS)


def spent_since(before: Mapping[str, float], per: float) -> dict[str, float]:
    """CPU seconds since, by part, divided by something."""
    now = cpu_by_part()
    return {part: (now[part] - before[part]) / per for part in PARTS}


# --- saying it -------------------------------------------------------------------------------


def table(results: Mapping[str, Measured], photos: int, side: int) -> Table:
    """Medians, side by side."""
    shown = Table(
        "median of rounds",
        *results,
        title=f"The whole stack, {photos} photos of {side} px",
    )
    parts = [part for part in PARTS if any(any(each.cpu[part]) for each in results.values())]
    rows: dict[str, list[str]] = {}
    for part in parts:
        rows[f"CPU s a photo: {part}"] = [_median(each.cpu[part]) for each in results.values()]
    rows["CPU s a photo: all but simulators"] = [
        _median(each.whole(each.cpu)) for each in results.values()
    ]
    rows["photos a second"] = [_median(each.rate) for each in results.values()]
    for part in parts:
        rows[f"idle CPU s a second: {part}"] = [
            _median(each.idle[part], 4) for each in results.values()
        ]
    rows["idle CPU s a second: all but simulators"] = [
        _median(each.whole(each.idle), 4) for each in results.values()
    ]
    if PEER in results:
        bare = statistics.median(results[PEER].whole(results[PEER].cpu))
        rows["CPU, times the peer's"] = [
            f"{statistics.median(each.whole(each.cpu)) / bare:.2f}" for each in results.values()
        ]
    for name, row in rows.items():
        shown.add_row(name, *row)
    return shown


def _median(numbers: Sequence[float], digits: int = 3) -> str:
    return f"{statistics.median(numbers):.{digits}f}" if any(numbers) else "–"


if __name__ == "__main__":
    main()
