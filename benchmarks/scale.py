"""Whether the system stays flat: `python -m benchmarks.scale [--jobs 1000000] [--check]`.

Beside an empty system stands one with a million jobs in its ledger and 10,000 photos active in
Dagster, each with its events. On SQLite and on a real Postgres, for ledger and Dagster alike:

* What does a photo cost in both, in a process that has just started and in one that is warm? The
  systems take turns; the medians of their CPU time are compared.
* How long is a tick of each sensor, with nothing to do and with 500 photos that have come in?
* How long are housekeeping, a daily cost report, and what people type?

With ``--check`` a figure that misses its aim ends the program with status 1.
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
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import URL, text

from benchmarks import loading
from benchmarks.sandbox import CHECKOUT, sandbox_environment, store_in_postgres
from photopipe_dagster_tests.support.postgres import new_database, running_postgres
from photopipe_dagster_tests.support.world import photo_of_a_mug

AIM_TICK_SECONDS: Final = 2.0
AIM_RATIO: Final = 1.15
ARRIVALS: Final = 500
TICKS: Final = 5
OLD_RUNS: Final = 2000

COMMANDS: Final = (("status",), ("costs",), ("costs", "--by", "day", "--since", "30d"), ("doctor",))


@dataclass
class System:
    """One installation with simulators, store, ledger and Dagster of its own.

    Args:
        environment: For the processes that work with it.
        photos: How many photos have been announced so far.
    """

    environment: dict[str, str]
    photos: int = 0

    def announce(self, count: int) -> list[str]:
        """Photos that 3JMS has, the shop waits for and Dagster has partitions of; their keys."""
        order = {"first": self.photos, "count": count}
        self.photos += count
        keys: list[str] = self.work("announce", order)
        return keys

    def work(self, what: str, order: object = None) -> Any:
        """Let a new process do it; returns what it found."""
        command = [sys.executable, "-m", "benchmarks.scale", "--worker", what]
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=CHECKOUT,
            input=json.dumps(order),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise SystemExit(f"{what} failed:\n{done.stderr[-4000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def command(self, *words: str) -> float:
        """Seconds that `photopipe …` takes."""
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "photopipe_dagster", *words],
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, 1):  # 1: the doctor has something to say
            raise SystemExit(f"{words} failed:\n{done.stderr[-2000:]}")
        return time.perf_counter() - started


def main() -> int:
    """Measure on both databases; returns how many aims were missed, or 0 without ``--check``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=10_000)
    parser.add_argument("--photos", type=int, default=20, help="of one run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--on", choices=("SQLite", "Postgres"), help="only on this one")
    parser.add_argument("--quick", action="store_true", help="a hundredth of it: does it work?")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--worker", choices=sorted(WORKERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(WORKERS[options.worker](json.load(sys.stdin))))
        return 0
    if options.quick:
        options.jobs, options.partitions = options.jobs // 100, options.partitions // 100
        options.photos, options.rounds = 5, 2
    missed = 0
    if options.on != "Postgres":
        with running_system(None) as empty, running_system(None) as full:
            missed += measure("SQLite", empty, full, options)
    if options.on != "SQLite":
        with (
            running_postgres() as server,
            running_system(server) as empty,
            running_system(server) as full,
        ):
            missed += measure("Postgres", empty, full, options)
    return missed if options.check else 0


@contextmanager
def running_system(server: URL | None) -> Iterator[System]:
    """A system without jobs; on SQLite where no server is given."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ledger, of_dagster = f"sqlite:///{folder}/ledger.db", None
        if server is not None:
            ledger = stack.enter_context(new_database(server))
            of_dagster = stack.enter_context(new_database(server))
        with environment_has({"DATABASE_URL": ledger}):
            environment = stack.enter_context(sandbox_environment(folder))
        if of_dagster is not None:
            store_in_postgres(Path(environment["DAGSTER_HOME"]), of_dagster)
        environment["THREEJMS_API_URL"] = f"{environment['SANDBOX']}/threejms"
        environment["THREEJMS_API_KEY"] = "sandbox-3jms-key"
        yield System(environment)


@contextmanager
def environment_has(variables: dict[str, str]) -> Iterator[None]:
    """For processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def measure(name: str, empty: System, full: System, options: argparse.Namespace) -> int:
    """Compare the two; returns how many aims were missed."""
    for system in (empty, full):
        system.work("run", system.announce(1))  # makes what is made once, and the events to copy
    started = time.perf_counter()
    size = full.work("fill", {"jobs": options.jobs, "partitions": options.partitions})
    print(f"{name}: filled in {time.perf_counter() - started:.0f} s: {size}", flush=True)
    missed = compare_photos(name, empty, full, options)
    missed += compare_ticks(name, empty, full)
    table = Table("", "empty, s", "full, s", title=f"{name}: other work, wall clock")
    for words in COMMANDS:
        row = (f"{system.command(*words):.2f}" for system in (empty, full))
        table.add_row("photopipe " + " ".join(words), *row)
    works = [system.work("jobs") for system in (empty, full)]
    for work in works[0]:
        table.add_row(work, *(f"{each[work]:.2f}" for each in works))
    Console(width=100).print(table)
    return missed


def compare_photos(name: str, empty: System, full: System, options: argparse.Namespace) -> int:
    """CPU seconds a photo, the two systems taking turns."""
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(options.rounds):
        turn = [("empty", empty), ("full", full)]
        for which, system in turn if number % 2 == 0 else reversed(turn):
            keys = system.announce(2 * options.photos)
            spent = system.work("run", keys)
            for process in ("cold", "warm"):
                seconds[which, process].append(spent[process] / options.photos)
    table = Table(
        *("Process", "empty", "full", "ratio"),
        title=f"{name}: CPU seconds a photo, medians of {options.rounds} runs of {options.photos}",
    )
    missed = 0
    for process in ("cold", "warm"):
        a, b = (statistics.median(seconds[which, process]) for which in ("empty", "full"))
        missed += b / a > AIM_RATIO
        table.add_row(process, f"{a:.4f}", f"{b:.4f}", f"{b / a:.3f}")
    Console(width=100).print(table)
    return missed


def compare_ticks(name: str, empty: System, full: System) -> int:
    """Seconds of the sensors' ticks."""
    ticks = [system.work("ticks") for system in (empty, full)]
    table = Table("Sensor", "empty, s", "full, s", title=f"{name}: longest tick, wall clock")
    missed = 0
    for sensor in ticks[0]:
        a, b = (max(each[sensor]) for each in ticks)
        missed += b > AIM_TICK_SECONDS
        table.add_row(sensor, f"{a:.3f}", f"{b:.3f}")
    Console(width=100).print(table)
    return missed


# --- what a process of a system does ---------------------------------------------------------


def announce(order: dict[str, int]) -> list[str]:
    """Photos, their products and partitions."""
    from photopipe_dagster.core.photo import PhotoKey
    from photopipe_dagster.core.settings import Settings
    from photopipe_dagster.runtime.services import shared_ledger

    ledger, keys = shared_ledger(Settings()), []
    with httpx.Client(base_url=os.environ["SANDBOX"]) as sandbox:
        for number in range(order["first"], order["first"] + order["count"]):
            sku = f"SKU-{number}"
            sandbox.post("/_sandbox/shopify/products", json={"title": sku, "skus": [sku]})
            files = {"file": ("photo.jpg", photo_of_a_mug(number), "image/jpeg")}
            answer = sandbox.post("/_sandbox/threejms/photos", data={"sku": sku}, files=files)
            photo = answer.raise_for_status().json()
            keys.append(PhotoKey(sku, photo["sha256"], "default"))
            ledger.intake.submit(keys[-1], "webhook", image_url=photo["url"])
    names = [key.partition_key for key in keys]
    _instance().add_dynamic_partitions("photos", names)
    return names


def run(names: Sequence[str]) -> dict[str, float]:
    """Take the first half of the photos through all stages, then the other.

    Returns:
        CPU seconds: ``cold`` with the start of this process, ``warm`` without.
    """
    from photopipe_dagster.core.dagster_names import RANGE_END, RANGE_START
    from photopipe_dagster.definitions import defs

    half = (len(names) + 1) // 2
    spent, before = {}, 0.0
    for process, part in (("cold", names[:half]), ("warm", names[half:])):
        if part:
            job, tags = defs.resolve_job_def("photos"), {RANGE_START: part[0], RANGE_END: part[-1]}
            if not job.execute_in_process(instance=_instance(), tags=tags).success:
                raise SystemExit("a photo failed")
        spent[process], before = time.process_time() - before, time.process_time()
    return spent


def fill(order: dict[str, int]) -> str:
    """Jobs into the ledger; partitions, events and runs into Dagster."""
    from photopipe_dagster.core.settings import Settings
    from photopipe_dagster.runtime.services import shared_ledger

    ledger, instance, jobs = shared_ledger(Settings()), _instance(), order["jobs"]
    loading.fill(ledger, jobs, days=365, until=datetime.now(UTC))
    (template,) = instance.get_dynamic_partitions("photos")
    numbers = range(jobs - order["partitions"], jobs)
    instance.add_dynamic_partitions("photos", [loading.photo(n).partition_key for n in numbers])
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        for statement in _COPY_EVENTS:
            connection.execute(text(statement), {"old": template})
        connection.execute(text("ANALYZE"))  # Postgres does it by itself, some minutes later
        events = connection.execute(text("SELECT count(*) FROM event_logs")).scalar()
    (run,) = instance.get_runs()
    of_runs: Any = instance.run_storage
    with of_runs.connect() as connection:
        for statement in (_COPY_RUN, _COPY_TAGS):
            connection.execute(text(statement), {"old": run.run_id, "count": OLD_RUNS})
    partitions = len(instance.get_dynamic_partitions("photos"))
    return (
        f"{ledger.jobs.stats().total:,} jobs, {partitions:,} partitions, {events:,} events, "
        f"{instance.get_runs_count():,} runs"
    )


def _copies(table: str, columns: str) -> str:
    """A statement that gives each partition the rows that the one named ``old`` has."""
    of_copy = {
        "event": "replace(e.event, :old, p.partition)",
        "evaluation_event": "replace(e.evaluation_event, :old, p.partition)",
        "partition": "p.partition",
    }
    values = ", ".join(of_copy.get(name, f"e.{name}") for name in columns.split(", "))
    return (
        f"INSERT INTO {table} ({columns}) SELECT {values} "  # noqa: S608
        f"FROM {table} e CROSS JOIN dynamic_partitions p "
        "WHERE e.partition = :old AND p.partition <> :old"
    )


_COPY_EVENTS: Final = (
    _copies(
        "event_logs",
        "run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition",
    ),
    _copies(
        "asset_check_executions",
        "asset_key, check_name, run_id, execution_status, evaluation_event, "
        "evaluation_event_timestamp, evaluation_event_storage_id, partition",
    ),
)

_NUMBERS: Final = (
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"
)
_RUN: Final = (
    "snapshot_id, pipeline_name, status, create_timestamp, update_timestamp, start_time, end_time"
)
_COPY_RUN: Final = (
    f"INSERT INTO runs (run_id, run_body, {_RUN}) {_NUMBERS} "  # noqa: S608
    f"SELECT 'copy-' || n, replace(run_body, :old, 'copy-' || n), {_RUN} "
    "FROM runs, numbers WHERE run_id = :old"
)
_COPY_TAGS: Final = (
    f"INSERT INTO run_tags (run_id, key, value) {_NUMBERS} "  # noqa: S608
    "SELECT 'copy-' || n, key, value FROM run_tags, numbers WHERE run_id = :old"
)


def ticks(_: object) -> dict[str, list[float]]:
    """Seconds of ticks: the first, which opens everything, and some more."""
    import dagster as dg

    from photopipe_dagster.core.settings import Settings
    from photopipe_dagster.definitions import defs
    from photopipe_dagster.defs.resources import PhotopipeResource
    from photopipe_dagster.runtime.services import shared_ledger

    instance, resource = _instance(), PhotopipeResource()
    seconds: dict[str, list[float]] = defaultdict(list)

    def tick(name: str, shown: str) -> None:
        context = dg.build_sensor_context(
            instance=instance, resources={"photopipe": resource}, definitions=defs
        )
        started = time.perf_counter()
        defs.resolve_sensor_def(name).evaluate_tick(context)
        seconds[shown].append(time.perf_counter() - started)

    for name in ("photo_dispatch", "threejms_poll", "alerts"):
        for _ in range(TICKS):
            tick(name, name)
    ledger = shared_ledger(Settings())
    for number in range(ARRIVALS):
        ledger.intake.submit(loading.photo(10**9 + number), "webhook")
    tick("photo_dispatch", f"photo_dispatch, {ARRIVALS} new")
    return seconds


def jobs(_: object) -> dict[str, float]:
    """Seconds of Dagster jobs that run by themselves."""
    from photopipe_dagster.definitions import defs

    instance = _instance()
    today = f"{datetime.now(UTC).date()}"
    seconds = {}
    for name, partition in (("housekeeping", None), ("housekeeping", None), ("daily_costs", today)):
        job = defs.resolve_job_def(name)
        started = time.perf_counter()
        if not job.execute_in_process(instance=instance, partition_key=partition).success:
            raise SystemExit(f"{name} failed")
        again = ", an hour later" if name in seconds else ""
        seconds[name + again] = time.perf_counter() - started
    return seconds


def _instance() -> Any:
    import dagster as dg

    return dg.DagsterInstance.get()


WORKERS: Final[dict[str, Callable[[Any], Any]]] = {
    "announce": announce,
    "run": run,
    "fill": fill,
    "ticks": ticks,
    "jobs": jobs,
}

if __name__ == "__main__":
    raise SystemExit(main())
