"""What the way of a photo costs: photos a second, CPU by part, memory, and how long one waits.

Everything runs over the simulators, which are processes of their own on the same cores. The sensor
turns the photos into runs, and each run is a process, as Dagster's default launcher has it:

* without latency, on SQLite and on Postgres, beside the same stages as Dagster has them by default
  (see `benchmarks.plain`; a few photos, as each costs tens of seconds);
* with the latencies of the real services, and large photos;
* one photo at a time, from its webhook to the shop, with all that `photopipe dev` starts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.sandbox import CHECKOUT, everything, sandbox_environment, store_in_postgres
from benchmarks.throughput_worker import IMAGING, PARTS, photographer
from photopipe_dagster.demo import environment
from photopipe_dagster.demo.seed import WEBHOOK_PATH
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.support.postgres import new_database, running_postgres

AT_ONCE: Final = 2
"""Runs at once: a core for each."""

LATENCIES: Final = {"freepik.remove_background": 2.5, "freepik.mystic.task": 20.0}
"""Seconds, as Freepik takes them."""

SMALL, LARGE = 1024, 2048
"""Pixels of a photo's side."""

OURS, PLAIN = "a process for many photos", "Dagster's defaults"
SQLITE, POSTGRES = "SQLite", "Postgres"
STAND_INS: Final = "simulators"
SERVER: Final = "database server"
ALL: Final = "all of these"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a number of photos took.

    Args:
        wall: Seconds, from the first run's start to the last one's end.
        cpu: CPU seconds by part.
        rss: MB, the most that one run's process took.
    """

    photos: int
    wall: float
    cpu: Mapping[str, float]
    rss: float = 0.0

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self.photos / self.wall

    @property
    def orchestration(self) -> float:
        """CPU seconds a photo for all but imaging, the simulators and the database's server.

        Of Dagster's defaults imaging is not known, and counted in.
        """
        return (self.cpu[ALL] - self.cpu.get(IMAGING, 0.0)) / self.photos


@dataclass(frozen=True, slots=True)
class Target:
    """A promise, and what came of it."""

    what: str
    measured: str
    wanted: str
    met: bool


@dataclass(slots=True)
class Report:
    """What has been measured so far."""

    console: Console
    shapes: dict[tuple[str, str], Measured] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    def at_most(self, what: str, value: float, limit: float, unit: str) -> None:
        """Add a target that is met by small numbers."""
        said = f"{value:.3g} {unit}", f"≤ {limit:g} {unit}"
        self.targets.append(Target(what, *said, met=value <= limit))

    def at_least(self, what: str, value: float, limit: float, unit: str) -> None:
        """Add a target that is met by large numbers."""
        said = f"{value:.3g} {unit}", f"≥ {limit:g} {unit}"
        self.targets.append(Target(what, *said, met=value >= limit))


def main() -> None:
    """Measure what is asked for, and print it; exit status 1 with ``--check`` where short of it."""
    measures = {
        "import": measure_import,
        "sqlite": measure_sqlite,
        "postgres": measure_postgres,
        "latency": measure_latency,
        "idle": measure_idle,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--plain-photos", type=int, default=4, help="for Dagster's defaults")
    parser.add_argument("--idle-photos", type=int, default=7)
    parser.add_argument("--only", choices=measures, action="append")
    parser.add_argument("--quick", action="store_true", help="20 photos, and few of the others")
    parser.add_argument("--check", action="store_true", help="fail where a target is missed")
    options = parser.parse_args()
    if options.quick:
        options.photos, options.plain_photos, options.idle_photos = 20, 1, 2
    report = Report(Console())
    for name in options.only or measures:
        measures[name](report, options)
    show(report, options.photos)
    if options.check and not all(target.met for target in report.targets):
        raise SystemExit(1)


# --- without latency -------------------------------------------------------------------------


def measure_sqlite(report: Report, options: argparse.Namespace) -> None:
    """Dagster and ledger on SQLite, beside Dagster's defaults."""
    with tempfile.TemporaryDirectory() as folder, sandbox_environment(Path(folder)) as variables:
        ours = measured(options.photos, SMALL, variables)
    with tempfile.TemporaryDirectory() as folder, sandbox_environment(Path(folder)) as variables:
        plain = plainly(options.plain_photos, variables)
    report.shapes[OURS, SQLITE], report.shapes[PLAIN, SQLITE] = ours, plain
    report.at_least("throughput of the defaults, SQLite", ours.rate / plain.rate, 15, "×")
    report.at_most("orchestration, SQLite", ours.orchestration, 0.20, "CPU s a photo")


def measure_postgres(report: Report, options: argparse.Namespace) -> None:
    """Dagster and ledger on Postgres."""
    with (
        running_postgres() as server,
        new_database(server) as ledger,
        new_database(server) as storage,
        tempfile.TemporaryDirectory() as folder,
        sandbox_environment(Path(folder), DATABASE_URL=ledger) as variables,
    ):
        store_in_postgres(Path(variables["DAGSTER_HOME"]), storage)
        ours = measured(options.photos, SMALL, variables)
    report.shapes[OURS, POSTGRES] = ours
    report.at_most("orchestration, Postgres", ours.orchestration, 0.12, "CPU s a photo")


def measured(photos: int, side: int, variables: Mapping[str, str]) -> Measured:
    """Announce photos, dispatch them, and run what the sensor asks for."""
    requests = worker(variables, "dispatch", str(photos), str(side))
    before, began = cpu_of_others(), time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(lambda each: worker(variables, "run", json.dumps(each)), requests))
    wall = time.perf_counter() - began
    cpu = Counter(cpu_of_others())
    cpu.subtract(before)
    for run in runs:
        cpu.update({part: run[part] for part in PARTS})
    cpu[ALL] = sum(cpu[part] for part in PARTS)
    require_done(photos, variables)
    return Measured(photos, wall, cpu, max(run["rss"] for run in runs))


def plainly(photos: int, variables: Mapping[str, str]) -> Measured:
    """The same photos as one run each, with a process a run and one a step."""
    requests = worker(variables, "dispatch", str(photos), str(SMALL), "1")
    partitions = [request["partition"] for request in requests]
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "benchmarks.plain"]
    before, began, own = cpu_of_others(), time.perf_counter(), children_cpu()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(
            pool.map(
                lambda name: output([*command, "--select", "*", "--partition", name], variables),
                partitions,
            )
        )
    wall, cpu = time.perf_counter() - began, Counter(cpu_of_others())
    cpu.subtract(before)
    cpu[ALL] = children_cpu() - own
    require_done(photos, variables)
    return Measured(photos, wall, cpu)


def worker(variables: Mapping[str, str], *arguments: str) -> Any:
    """What a process of `benchmarks.throughput_worker` answers."""
    command = [sys.executable, "-m", "benchmarks.throughput_worker", *arguments]
    return json.loads(output(command, variables).splitlines()[-1])


def output(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """What a process says; the benchmark ends where it fails."""
    done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=CHECKOUT)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[2:5])} failed:\n{done.stderr[-4000:]}")
    return done.stdout


def require_done(photos: int, variables: Mapping[str, str]) -> None:
    """End the benchmark unless all photos are published."""
    with closing(Ledger.open(environment.settings_of(variables))) as ledger:
        done = ledger.jobs.count(JobQuery(statuses=(JobStatus.DONE,)))
    if done != photos:
        raise SystemExit(f"{done} of {photos} photos are published")


def cpu_of_others() -> dict[str, float]:
    """CPU seconds so far of the simulators with the API, and of Postgres."""
    spent = {STAND_INS: 0.0, SERVER: 0.0}
    for process in psutil.Process().children():
        part = SERVER if process.name().startswith("postgres") else STAND_INS
        for each in (process, *process.children(recursive=True)):
            spent[part] += sum(each.cpu_times()[:2])
        spent[part] += sum(process.cpu_times()[2:4])  # of those that have ended
    return spent


def children_cpu() -> float:
    """CPU seconds of all processes that were started here and have ended."""
    times = os.times()
    return times.children_user + times.children_system


# --- with latency ----------------------------------------------------------------------------


def measure_latency(report: Report, options: argparse.Namespace) -> None:
    """Large photos, and services that take their time."""
    with (
        tempfile.TemporaryDirectory() as folder,
        sandbox_environment(
            Path(folder), FREEPIK_POLL_SECONDS="2", SHOPIFY_POLL_SECONDS="1"
        ) as variables,
    ):
        httpx.post(f"{variables['SANDBOX']}/_sandbox/latency", json=LATENCIES).raise_for_status()
        ours = measured(options.photos, LARGE, variables)
    report.shapes[f"{OURS}, {LARGE} px, slow services", SQLITE] = ours
    report.at_most(f"{options.photos} photos over slow services", ours.wall, 120, "s")
    report.at_most(f"memory of a run, {LARGE} px", ours.rss, 800, "MB")


# --- one at a time ---------------------------------------------------------------------------


def measure_idle(report: Report, options: argparse.Namespace) -> None:
    """Photos one at a time, from the webhook to the shop."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder, everything(Path(folder)) as (shop, api, ledger):
        paint = photographer(SMALL)
        for number in range(options.idle_photos + 1):
            sku = f"SKU-{number}"
            shop.add_product(sku, sku)
            photo = shop.add_photo(sku, paint(number))
            # Not in step with the sensor's clock.
            time.sleep(3 + number * 0.7)
            began = time.perf_counter()
            shop.push([photo], api + WEBHOOK_PATH)
            while ledger.jobs.count(JobQuery(statuses=(JobStatus.DONE,))) <= number:
                if time.perf_counter() - began > 120:
                    raise SystemExit(f"{sku} is not published after two minutes")
                time.sleep(0.05)
            seconds.append(time.perf_counter() - began)
    each = ", ".join(f"{second:.1f}" for second in seconds[1:])
    report.console.print(f"One at a time, webhook to shop, after one to warm up: {each} s")
    report.at_most("webhook to shop, idle", statistics.median(seconds[1:]), 10, "s")


def measure_import(report: Report, _: argparse.Namespace) -> None:
    """How long the code location takes to load."""
    code = (
        "import time; began = time.perf_counter(); import photopipe_dagster.definitions; "
        "print(time.perf_counter() - began)"
    )
    seconds = [float(output([sys.executable, "-c", code], os.environ)) for _ in range(3)]
    report.at_most("import of the code location", min(seconds), 3, "s")


# --- saying it -------------------------------------------------------------------------------


def show(report: Report, photos: int) -> None:
    """Print what was measured, and which targets are met."""
    if report.shapes:
        report.console.print(costs(report.shapes))
    targets = Table("Target", "Measured", "Wanted", "", title=f"Targets, {photos} photos")
    for target in report.targets:
        mark = "[green]met[/]" if target.met else "[red]missed[/]"
        targets.add_row(target.what, target.measured, target.wanted, mark)
    report.console.print(targets)


def costs(shapes: Mapping[tuple[str, str], Measured]) -> Table:
    """What a photo cost in each shape."""
    table = Table(
        f"{SMALL} px where not said otherwise, {AT_ONCE} runs at once",
        *(f"{shape}\n{storage}" for shape, storage in shapes),
        title="CPU seconds a photo",
    )
    rows = {"photos": [str(each.photos) for each in shapes.values()]}
    rows["photos a second"] = [f"{each.rate:.2f}" for each in shapes.values()]
    for part in (*PARTS, ALL, STAND_INS, SERVER):
        numbers = (each.cpu.get(part, 0.0) / each.photos for each in shapes.values())
        rows[part] = [f"{number:.3f}" if number else "–" for number in numbers]
    rows["all but imaging"] = [f"{each.orchestration:.3f}" for each in shapes.values()]
    for name, row in rows.items():
        table.add_row(name, *row)
    return table


if __name__ == "__main__":
    main()
