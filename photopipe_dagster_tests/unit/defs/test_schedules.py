import os
from datetime import UTC, datetime

import dagster as dg
import pytest
from sqlalchemy import func, select

from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.housekeeping import housekeeping_job
from photopipe_dagster.defs.schedules import daily_costs_schedule, monthly_costs_schedule
from photopipe_dagster.ledger.tables import days, job_counts
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.support.world import photo_of_a_mug, world


@pytest.mark.parametrize(
    ("schedule", "key"),
    [(daily_costs_schedule, "2026-11-30"), (monthly_costs_schedule, "2026-11-01")],
    ids=["day", "month"],
)
def test_reports_are_about_the_day_before_midnight(schedule: dg.ScheduleDefinition, key: str):
    midnight = datetime(2026, 12, 1, 0, 10, tzinfo=UTC)
    with dagster_instance() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=midnight,
            repository_def=defs.get_repository_def(),
        )
        (request,) = schedule.evaluate_tick(context).run_requests or ()
    assert request.partition_key == key


def test_every_schedule_runs_by_itself():
    schedules = defs.get_repository_def().schedule_defs
    assert {schedule.default_status for schedule in schedules} == {dg.DefaultScheduleStatus.RUNNING}


def test_housekeeping_takes_finished_photos_out_of_dagster(tmp_path, monkeypatch):
    with world(tmp_path, monkeypatch, provider="local") as shop:
        shop.stock("MUG")
        key = shop.announce("MUG", photo_of_a_mug(1))
        assert shop.materialize([key]).success
        leftover = next(shop.settings.data_dir.rglob("temporary")) / "half-written"
        leftover.write_bytes(b"x")
        os.utime(leftover, (0, 0))
        job = defs.resolve_job_def(housekeeping_job.name)
        assert job.execute_in_process(instance=shop.instance).success
        assert not leftover.exists()
        assert shop.instance.get_dynamic_partitions("photos") == [key.partition_key]
        added_up = [
            shop.ledger.database.one(select(func.count()).select_from(rows))[0]
            for rows in (job_counts, days)
        ]
        assert added_up[0] == 1  # of one status and theme
        assert added_up[1] >= 28  # just after midnight, the day before is not settled
