"""A year of jobs, and what is left of it: `python -m benchmarks.retention [--check]`.

The ledger gets all jobs of the year, 300 a day. Dagster and the store get a part of each day, as
copies of a real run: one of the day's six runs with 20 of its photos, and two of the 24 runs of
housekeeping. So Dagster's and the store's sizes are about a fifteenth of the whole year's.

* Day by day: housekeeping prunes every day of the year; do the sizes stop growing?
* At the end: nothing is pruned for a year, and then `photopipe prune --apply` does it, killed three
  times on its way. Is what is gone what the dry run said? Are all reports the same, byte for byte?
  Does a photo that has left come back when it is wanted, and cost nothing?

With ``--check`` a promise that is broken ends the program with status 1.
"""
# ruff: noqa: S608  # the statements are made of nothing but what stands here

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from benchmarks import loading
from benchmarks.scale import System, environment_has, running_system
from photopipe_dagster.core.dagster_names import RANGE_END, RANGE_START
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.demo.sandbox_client import SandboxClient
from photopipe_dagster_tests.support.postgres import running_postgres

JOBS_A_DAY: Final = 300
PHOTOS_COPIED: Final = 20
HOUSEKEEPINGS_A_DAY: Final = 2
RETENTION_DAYS: Final = 90
INTERMEDIATES_DAYS: Final = 180
BACKFILLED: Final = 5
KILLS: Final = (("partitions", 2), ("partitions", 2), ("runs", 1), ("runs", 1), ("objects", 5))
"""After how many lines about what the process is killed."""

console = Console(width=120)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is kept; bytes as files or, on Postgres, as the database says."""

    jobs: int
    ledger_mb: float
    partitions: int
    runs: int
    events: int
    evaluations: int
    files: int
    dagster_mb: float
    intermediates: int
    store_mb: float


def main() -> int:
    """Live through the year twice; returns how many promises were broken with ``--check``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--on", choices=("SQLite", "Postgres"), default="SQLite")
    parser.add_argument("--only", choices=("daily", "end"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    broken = 0
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres()) if options.on == "Postgres" else None
        if options.only != "end":
            with running_system(server) as system, environment_has(system.environment):
                live_day_by_day(Year(system, options.days))
        if options.only != "daily":
            with running_system(server) as system, environment_has(system.environment):
                broken = prune_at_the_end(Year(system, options.days))
    return broken if options.check else 0


class Year:
    """The days of a year that ends now, in a system.

    Dagster's and the store's part of a day is a copy of what a real run of `PHOTOS_COPIED` photos
    left, with names and times of its own.
    """

    def __init__(self, system: System, days: int) -> None:
        from photopipe_dagster.core.settings import Settings
        from photopipe_dagster.ledger import Ledger
        from photopipe_dagster.storage.factory import object_store

        self.system, self.days = system, days
        # Time goes on while this runs: no photo that is copied may come of age meanwhile.
        self.end = datetime.now(UTC) - timedelta(hours=6)
        self.settings = Settings()
        self.clock = self.end
        self.ledger = Ledger(self.settings.ledger_url, clock=lambda: self.clock)
        self.ledger.database.migrate()
        self.store = object_store(self.settings)
        loading.fill(self.ledger, days * JOBS_A_DAY, days=days, until=self.end)
        self.instance = dg.DagsterInstance.get()
        self.real = system.announce(PHOTOS_COPIED)
        if not run(self.instance, {RANGE_START: self.real[0], RANGE_END: self.real[-1]}):
            raise SystemExit("a photo failed")
        system.work("jobs")
        self._events: Any = self.instance.event_log_storage
        self._runs: Any = self.instance.run_storage
        self._template_runs = {run.job_name: run.run_id for run in self.instance.get_runs()}
        pictures = [PhotoKey.parse(self.real[0]).object_key(stage) for stage in _INTERMEDIATES]
        self._pictures = [self.store.get(key) for key in pictures]

    def live(self, day: int) -> None:
        """What a day leaves in Dagster and in the store."""
        first = day * JOBS_A_DAY
        photos = [loading.photo(first + number) for number in range(PHOTOS_COPIED)]
        names = [photo.partition_key for photo in photos]
        self.instance.add_dynamic_partitions("photos", names)
        self.clock = self.end - timedelta(days=self.days - 1 - day)
        self._copy_run("photos", loading.run_of(first), dict(zip(self.real, names, strict=True)))
        for number in range(HOUSEKEEPINGS_A_DAY):
            self._copy_run("housekeeping", f"housekeeping-{day}-{number}", {})
        moment = self.clock.timestamp()
        for photo in photos:
            for stage, picture in zip(_INTERMEDIATES, self._pictures, strict=True):
                path = self.settings.data_dir / "objects" / photo.object_key(stage)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture.data if picture is not None else b"")
                os.utime(path, (moment, moment))

    def _copy_run(self, job: str, run_id: str, partitions: dict[str, str]) -> None:
        template, when = self._template_runs[job], self.clock.replace(tzinfo=None)
        new = {"old": template, "new": run_id, "when": when, "at": self.clock.timestamp()}
        with self._runs.connect() as connection:
            for statement in (_RUN, _TAGS):
                connection.execute(text(statement), new)
        with self._events.index_connection() as connection:
            for table, columns in _TABLES.items():
                _copy_rows(connection, table, columns, template, run_id, partitions)
        path_of = getattr(self._events, "path_for_shard", None)
        if path_of is not None:
            Path(path_of(run_id)).write_bytes(Path(path_of(template)).read_bytes())
            with closing(sqlite3.connect(path_of(run_id))) as file, file:
                renamed = "UPDATE event_logs SET run_id = ?, event = replace(event, ?, ?)"
                file.execute(renamed, [run_id, template, run_id])

    def age_real_photos(self) -> None:
        """The run that was copied happened on the first day, too."""
        long_ago = self.end - timedelta(days=self.days)
        ids = [PhotoKey.parse(name).job_id for name in self.real]
        with self.ledger.database.write() as connection:
            for job_id in ids:
                connection.execute(
                    text("UPDATE jobs SET updated_at = :at, completed_at = :at WHERE id = :id"),
                    {"at": long_ago.replace(tzinfo=None), "id": job_id},
                )
        with self._runs.connect() as connection:
            connection.execute(
                text("UPDATE runs SET update_timestamp = :at WHERE run_id = :id"),
                {"at": long_ago.replace(tzinfo=None), "id": self._template_runs["photos"]},
            )

    def sizes(self) -> Sizes:
        """What is kept now."""
        home = Path(os.environ["DAGSTER_HOME"])
        with self._events.index_connection() as connection:
            count = {
                table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()
                for table in ("event_logs", "asset_check_executions")
            }
        held = [info for prefix in ("masks/", "backgrounds/") for info in self.store.list(prefix)]
        files = [path for path in home.rglob("*") if path.is_file()]
        return Sizes(
            jobs=self.ledger.jobs.stats().total,
            ledger_mb=self._megabytes(self.ledger.database.engine.url.database),
            partitions=len(self.instance.get_dynamic_partitions("photos")),
            runs=self.instance.get_runs_count(),
            events=count["event_logs"],
            evaluations=count["asset_check_executions"],
            files=len(files),
            dagster_mb=sum(path.stat().st_size for path in files) / 1e6 + self._database_mb(),
            intermediates=len(held),
            store_mb=sum(info.size for info in held) / 1e6,
        )

    def _megabytes(self, path: str | None) -> float:
        if self.ledger.database.engine.dialect.name == "postgresql":
            size = text("SELECT pg_database_size(current_database())")
            with self.ledger.database.read() as connection:
                return int(connection.execute(size).scalar() or 0) / 1e6
        return Path(path or "").stat().st_size / 1e6

    def _database_mb(self) -> float:
        """Dagster's own database, where it is not among the files."""
        if hasattr(self._events, "path_for_shard"):
            return 0.0
        with self._events.index_connection() as connection:
            found = connection.execute(text("SELECT pg_database_size(current_database())"))
            return int(found.scalar()) / 1e6

    def vacuum(self) -> None:
        """Give back to the disk what is free: SQLite wants to be told, Postgres does it itself."""
        path_of = getattr(self._events, "path_for_shard", None)
        if path_of is not None:
            home = Path(os.environ["DAGSTER_HOME"]) / "history"
            for path in (path_of("index"), home / "runs.db"):
                with closing(sqlite3.connect(path)) as database:
                    database.execute("VACUUM")
            return
        with self._events.index_connection() as connection:
            engine = connection.engine
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("VACUUM ANALYZE"))


_INTERMEDIATES: Final = (Stage.MASK, Stage.BACKGROUND)
_RUN: Final = (
    "INSERT INTO runs (run_id, run_body, snapshot_id, pipeline_name, status, create_timestamp, "
    "update_timestamp, start_time, end_time) SELECT :new, replace(run_body, :old, :new), "
    "snapshot_id, pipeline_name, status, :when, :when, :at, :at FROM runs WHERE run_id = :old"
)
_TAGS: Final = (
    "INSERT INTO run_tags (run_id, key, value) "
    "SELECT :new, key, value FROM run_tags WHERE run_id = :old"
)
_TABLES: Final = {
    "event_logs": ("event", "dagster_event_type, timestamp, step_key, asset_key"),
    "asset_check_executions": ("evaluation_event", "asset_key, check_name, execution_status"),
}
"""Of each table: the column of texts that name run and partition, and those that stay."""


def _copy_rows(
    connection: Any,
    table: str,
    columns: tuple[str, str],
    template: str,
    run_id: str,
    partitions: dict[str, str],
) -> None:
    """A run's rows once more for another run, and for other partitions where some are given."""
    body, same = columns
    read = text(f"SELECT {body} AS body, partition, {same} FROM {table} WHERE run_id = :old")
    rows = []
    for row in connection.execute(read, {"old": template}).mappings():
        name = row["partition"]
        new = partitions.get(name, name)
        told = (row["body"] or "").replace(template, run_id)
        rows.append(
            {
                **row,
                "run": run_id,
                "partition": new,
                "body": told.replace(name, new) if name else told,
            }
        )
    values = ", ".join(f":{name}" for name in same.split(", "))
    write = text(
        f"INSERT INTO {table} (run_id, {body}, partition, {same}) "
        f"VALUES (:run, :body, :partition, {values})"
    )
    if rows:
        connection.execute(write, rows)


# --- day by day ------------------------------------------------------------------------------


def live_day_by_day(year: Year) -> None:
    """Prune at the end of each day, as housekeeping does each hour."""
    from photopipe_dagster.operations.retention import Retention

    table = Table(*_headings("Day"), title="Pruned every day")
    slowest = 0.0
    for day in range(year.days):
        year.live(day)
        started = time.perf_counter()
        Retention(
            year.instance,
            year.ledger,
            year.store,
            days=RETENTION_DAYS,
            intermediates_days=INTERMEDIATES_DAYS,
        ).prune(dry_run=False)
        slowest = max(slowest, time.perf_counter() - started)
        if (day + 1) % 45 == 0 or day + 1 == year.days:
            table.add_row(str(day + 1), *_cells(year.sizes()))
    console.print(table)
    console.print(f"Slowest pruning of a day: {slowest:.2f} s")


# --- at the end of the year ------------------------------------------------------------------


def prune_at_the_end(year: Year) -> int:
    """Let everything pile up, then prune; returns how many promises were broken."""
    for day in range(year.days):
        year.live(day)
    year.age_real_photos()
    year.clock = year.end
    table = Table(*_headings("When"), title="Pruned after a year")
    reports, sizes = digest_of_reports(year), year.sizes()
    table.add_row("before", *_cells(sizes))
    would = prune(dry_run=True)
    for what, lines in KILLS:
        kill_prune(what, lines)
    finish = prune(dry_run=False)
    after = year.sizes()
    table.add_row("after", *_cells(after))
    year.vacuum()
    table.add_row("after VACUUM", *_cells(year.sizes()))
    console.print(table)
    console.print(
        f"The dry run said {would}; killed {len(KILLS)} times, the last went on with {finish}"
    )
    gone = {
        "partitions": sizes.partitions - after.partitions,
        "runs": sizes.runs - after.runs,
        "objects": sizes.intermediates - after.intermediates,
    }
    promises = {
        "what is gone is what the dry run said": all(would[name] == gone[name] for name in gone),
        "nothing more is to be pruned": not any(
            value for name, value in prune(dry_run=True).items() if name != "done"
        ),
        "nothing of a run that is gone is left": leftovers(year) == [],
        "all reports are the same, byte for byte": digest_of_reports(year) == reports,
        "photos come back when they are wanted, and cost nothing": come_back(year),
    }
    for promise, kept in promises.items():
        console.print(f"{'[green]kept[/green]' if kept else '[red]BROKEN[/red]'}  {promise}")
    return sum(not kept for kept in promises.values())


def digest_of_reports(year: Year) -> str:
    """All daily and monthly reports of the year as CSV, the stats and all sums of money."""
    from photopipe_dagster.costs.reports.costs import daily_report, monthly_report

    ledger, today = year.ledger, year.end.date()
    digest = hashlib.sha256()
    days = [today - timedelta(days=number) for number in range(year.days + 1)]
    months = sorted({date(day.year, day.month, 1) for day in days})
    for day in days:
        digest.update(daily_report(ledger.cost_breakdown, day).rows.to_csv(index=False).encode())
    for month in months:
        report = monthly_report(ledger.cost_breakdown, month, today)
        digest.update(report.rows.to_csv(index=False).encode())
        digest.update(repr((report.days, report.forecast)).encode())
    groups = ("provider", "stage", "state", "theme")
    sums = [ledger.jobs.stats(), ledger.spending.by(*groups, since=None)]
    sums += [ledger.spending.total(), ledger.spending.lost(None)]
    sums += [ledger.budget.day().spent, ledger.budget.month().spent]
    digest.update(repr(sums).encode())
    return digest.hexdigest()


def prune(*, dry_run: bool) -> dict[str, Any]:
    """What `photopipe prune` says that it does, or would do."""
    done = subprocess.run([*_PRUNE, "--json", *([] if dry_run else ["--yes"])], **_child())
    if done.returncode != 0:
        raise SystemExit(done.stderr[-3000:])
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def kill_prune(what: str, lines: int) -> None:
    """Begin to prune, and be killed after some lines about something."""
    child = subprocess.Popen(
        [*_PRUNE, "--yes"], stdout=subprocess.PIPE, text=True, env=_child()["env"]
    )
    assert child.stdout is not None
    seen = 0
    for line in child.stdout:
        seen += what in line
        if seen == lines:
            break
    else:
        raise SystemExit(f"It was done before it said so much about {what}.")
    child.send_signal(signal.SIGKILL)
    child.wait()


_PRUNE: Final = (sys.executable, "-m", "photopipe_dagster", "prune")


def _child() -> dict[str, Any]:
    days = {
        "JOB_RETENTION_DAYS": str(RETENTION_DAYS),
        "INTERMEDIATES_RETENTION_DAYS": str(INTERMEDIATES_DAYS),
    }
    return {"env": os.environ | days, "capture_output": True, "text": True}


def leftovers(year: Year) -> list[str]:
    """Runs that are gone, and of which something is left."""
    known = {run.run_id for run in year.instance.get_runs()} | {"", "index"}
    events: Any = year.instance.event_log_storage
    left: set[str] = set()
    with events.index_connection() as connection:
        for table in _TABLES:
            rows = connection.execute(text(f"SELECT DISTINCT run_id FROM {table}"))
            left |= {row.run_id for row in rows}
    home = Path(os.environ["DAGSTER_HOME"])
    left |= {path.stem.partition(".")[0] for path in (home / "history" / "runs").glob("*.db")}
    left |= {path.name for path in (home / "storage").glob("*-*-*-*-*")}
    return sorted(left - known)


def come_back(year: Year) -> bool:
    """Backfill some that have left: whether they are whole again, and nothing was paid."""
    from photopipe_dagster.definitions import defs
    from photopipe_dagster.defs.resources import PhotopipeResource
    from photopipe_dagster.defs.sensors.dispatch import photo_dispatch

    names = year.real[:BACKFILLED]
    if set(names) & set(year.instance.get_dynamic_partitions("photos")):
        return False
    spent = year.ledger.spending.total()
    with SandboxClient(year.system.environment["SANDBOX"]) as sandbox_client:
        records = sandbox_client.records()
        photos = [PhotoKey.parse(name) for name in names]
        year.ledger.batches.start(photos, what="again", by="benchmark", estimate=spent * 0)
        context = dg.build_sensor_context(
            instance=year.instance, resources={"photopipe": PhotopipeResource()}, definitions=defs
        )
        tick = photo_dispatch.evaluate_tick(context)
        for request in tick.dynamic_partitions_requests or ():
            year.instance.add_dynamic_partitions("photos", list(request.partition_keys or ()))
        done = [run(year.instance, request.tags) for request in tick.run_requests or ()]
        return (
            done == [True]
            and sandbox_client.records().charges == records.charges
            and sandbox_client.records().published == records.published
            and year.ledger.spending.total() == spent
            and all(
                set(names) <= year.instance.get_materialized_partitions(dg.AssetKey(stage.value))
                for stage in Stage
            )
        )


def run(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> bool:
    """Take the photos that the tags name through all stages; whether all were done."""
    from photopipe_dagster.definitions import defs

    job = defs.resolve_job_def("photos")
    return job.execute_in_process(instance=instance, tags=dict(tags), raise_on_error=False).success


def _headings(first: str) -> Iterator[str]:
    yield first
    for field in fields(Sizes):
        yield field.name.replace("_", " ")


def _cells(sizes: Sizes) -> Sequence[str]:
    values = asdict(sizes).values()
    return [f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" for value in values]


if __name__ == "__main__":
    raise SystemExit(main())
