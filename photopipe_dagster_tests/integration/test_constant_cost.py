"""What is done every few seconds costs the same however many photos there have been.

SQLite plans without statistics, so that its plans are the same for an empty ledger as for a million
jobs; `python -m benchmarks.scale` measures it on both databases.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import event

from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.alerts import alerts_sensor
from photopipe_dagster.defs.sensors.dispatch import photo_dispatch
from photopipe_dagster.ledger.jobs.leases import run_lease
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.support.dispatching import move_clock
from photopipe_dagster_tests.unit.ledger.conftest import photo

GROWING = ("jobs", "spending", "steps", "media", "hours")
"""Tables that have a row for whatever has ever happened."""

SHORT_INDEXES = ("ix_jobs_retry_at", "ix_jobs_review")
"""These hold only jobs that wait, and may be read whole."""

AT_REST = {JobStatus.DONE, JobStatus.FAILED}


@pytest.fixture
def photopipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PhotopipeResource]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COST_LIMIT_DAILY_USD", "5")
    monkeypatch.setenv("COST_LIMIT_MONTHLY_USD", "50")
    photopipe = PhotopipeResource()
    yield photopipe
    photopipe.ledger.close()


def plan(photopipe: PhotopipeResource, statement: str, parameters: Any) -> list[str]:
    """How SQLite answers a statement, line by line."""
    with photopipe.ledger.database.read() as connection:
        explained = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row.detail for row in explained]


def grows(detail: str, parameters: Any) -> bool:
    """Whether a line of a plan reads more rows the more has ever happened."""
    verb, table, *_ = detail.split()
    if table not in GROWING:
        return False
    whole = verb == "SCAN" and not any(index in detail for index in SHORT_INDEXES)
    of_a_status = "(status=?" in detail and bool(AT_REST & set(parameters))
    never_dispatched = "(dispatch_id=?" in detail
    return whole or of_a_status or never_dispatched


@pytest.mark.parametrize("sensor", [photo_dispatch, alerts_sensor])
def test_no_tick_reads_all_that_has_ever_happened(
    photopipe: PhotopipeResource, sensor: dg.SensorDefinition
):
    ledger = photopipe.ledger
    ledger.intake.submit(photo(1), "webhook")
    ledger.leases.take([run_lease("a run that died")], "the run")
    move_clock(ledger, 3600)
    seen: list[tuple[str, Any]] = []

    @event.listens_for(ledger.database.engine, "before_cursor_execute")
    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            seen.append((statement, parameters))

    with dagster_instance() as instance:
        context = dg.build_sensor_context(
            instance=instance, resources={"photopipe": photopipe}, definitions=defs
        )
        told = sensor(context)
        if isinstance(told, Iterator):
            list(told)
    event.remove(ledger.database.engine, "before_cursor_execute", note)
    assert len(seen) > 5
    for statement, parameters in seen:
        for detail in plan(photopipe, statement, parameters):
            assert not grows(detail, parameters), f"{detail}: {statement}"
