"""Sensors, with a real instance and a real ledger; no provider is needed to dispatch."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from photopipe_dagster.core.dagster_names import DISPATCH_TAG
from photopipe_dagster.core.errors import BudgetExceededError, ErrorCode, JobError
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors import dispatch
from photopipe_dagster.defs.sensors.sources import source_sensors
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.dispatches import Dispatch, shares
from photopipe_dagster.ledger.jobs.leases import job_lease, run_lease
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.sandbox.server import running_sandbox
from photopipe_dagster.sources.threejms.plugin import POLLING
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.support.dispatching import covered, move_clock, tick
from photopipe_dagster_tests.support.world import photo_of_a_mug


@pytest.fixture
def instance():
    with dagster_instance() as instance:
        yield instance


@pytest.fixture
def photopipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PhotopipeResource:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PHOTOS_PER_RUN", "10")
    monkeypatch.setenv("JOB_RETRY_DELAY_SECONDS", "0")
    monkeypatch.setenv("JOB_LEASE_SECONDS", "10")
    return PhotopipeResource()


def key(number: int) -> PhotoKey:
    return PhotoKey(f"SKU-{number}", f"{number:064x}", "default")


def submit(ledger: Ledger, *numbers: int) -> None:
    for number in numbers:
        ledger.intake.submit(key(number), "webhook")


def test_new_jobs_go_out_in_contiguous_batches(instance, photopipe):
    submit(photopipe.ledger, *range(25))
    requests = tick(instance, photopipe)
    batches = [covered(instance, request) for request in requests]
    assert [len(batch) for batch in batches] == [9, 8, 8]
    assert {partition for batch in batches for partition in batch} == {
        key(number).partition_key for number in range(25)
    }
    assert len({request.run_key for request in requests}) == 3
    assert tick(instance, photopipe) == []


def test_a_lone_photo_is_a_run_of_its_partition(instance, photopipe):
    submit(photopipe.ledger, 1)
    (request,) = tick(instance, photopipe)
    assert request.partition_key == key(1).partition_key


@pytest.mark.parametrize(
    ("photos", "runs"),
    [(0, []), (1, [1]), (10, [10]), (11, [6, 5]), (200, [100, 100]), (201, [67, 67, 67])],
)
def test_a_backlog_is_shared_evenly_and_a_few_photos_are_one_run(photos: int, runs: list[int]):
    assert shares(photos, most=100, at_once=2) == runs


def test_a_backlog_goes_to_as_many_runs_as_work_side_by_side(instance, photopipe, monkeypatch):
    monkeypatch.setenv("PHOTOS_PER_RUN", "100")
    monkeypatch.setenv("RUNS_AT_ONCE", "3")
    submit(photopipe.ledger, *range(31))
    requests = tick(instance, PhotopipeResource())
    assert [len(covered(instance, request)) for request in requests] == [11, 10, 10]


def test_foreign_partitions_are_never_swept_into_a_range(instance, photopipe):
    submit(photopipe.ledger, 1, 2)
    tick(instance, photopipe)
    instance.add_dynamic_partitions("photos", ["by/hand/x"])
    submit(photopipe.ledger, 3, 4)
    (request,) = tick(instance, photopipe)
    assert covered(instance, request) == [key(3).partition_key, key(4).partition_key]


def test_retries_stand_in_ranges_only_where_they_are_neighbours(instance, photopipe):
    submit(photopipe.ledger, *range(8))
    tick(instance, photopipe)
    for number in (1, 2, 3, 6):
        photopipe.ledger.transitions.fail(key(number).job_id, JobError("down", retryable=True))
    requests = tick(instance, photopipe)
    assert [covered(instance, request) for request in requests] == [
        [key(n).partition_key for n in (1, 2, 3)],
        [key(6).partition_key],
    ]


def test_a_tick_that_died_before_its_runs_loses_nothing(instance, photopipe, monkeypatch):
    submit(photopipe.ledger, *range(3))
    assert tick(instance, photopipe)  # its run requests are lost; the partitions were added
    assert tick(instance, photopipe) == []
    monkeypatch.setattr(dispatch, "UNDELIVERED_AFTER_SECONDS", -1)
    (request,) = tick(instance, photopipe)
    assert len(covered(instance, request)) == 3
    assert photopipe.ledger.jobs.require(key(0).job_id).retry_count == 0


def test_a_run_that_waits_in_the_queue_is_left_alone(instance, photopipe, monkeypatch):
    submit(photopipe.ledger, 1)
    (request,) = tick(instance, photopipe)
    monkeypatch.setattr(dispatch, "UNDELIVERED_AFTER_SECONDS", -1)
    run = instance.create_run_for_job(
        defs.resolve_job_def("photos"), tags={DISPATCH_TAG: request.tags[DISPATCH_TAG]}
    )
    assert tick(instance, photopipe) == []
    instance.report_run_failed(run)
    # The run ended before it began with the photo: that is a failure, with its retry.
    (again,) = tick(instance, photopipe)
    assert again.partition_key == key(1).partition_key
    assert photopipe.ledger.jobs.require(key(1).job_id).retry_count == 1


def test_photos_of_a_killed_run_fail_are_retried_and_the_run_is_buried(instance, photopipe):
    submit(photopipe.ledger, 1)
    tick(instance, photopipe)
    run = instance.create_run_for_job(defs.resolve_job_def("photos"))
    ledger = photopipe.ledger
    ledger.transitions.begin(key(1), run.run_id, again=True)
    ledger.transitions.advance(key(1).job_id, JobStatus.SEGMENTING)
    ledger.leases.take([job_lease(key(1).job_id)], "the run")
    assert tick(instance, photopipe) == []
    ledger.leases.release("the run")
    (request,) = tick(instance, photopipe)
    assert request.partition_key == key(1).partition_key
    assert instance.get_run_by_id(run.run_id).is_failure
    assert ledger.jobs.require(key(1).job_id).status is JobStatus.QUEUED


def start_run(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run that Dagster saw start, and whose process says nothing more."""
    job = defs.resolve_job_def("photos")
    run = instance.create_run_for_job(job, tags=tags)
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=job.name), run.run_id
    )
    return instance.get_run_by_id(run.run_id)


def test_a_run_that_died_before_its_first_photo_is_buried_and_its_photos_go_on(
    instance, photopipe, monkeypatch
):
    submit(photopipe.ledger, 1)
    (request,) = tick(instance, photopipe)
    monkeypatch.setattr(dispatch, "UNDELIVERED_AFTER_SECONDS", -1)
    run = start_run(instance, **{DISPATCH_TAG: request.tags[DISPATCH_TAG]})
    assert tick(instance, photopipe) == []  # it may have begun a moment ago
    move_clock(photopipe.ledger, 11)
    photopipe.ledger.leases.take([run_lease(run.run_id)], "the run")
    assert tick(instance, photopipe) == []  # it lives, and has other photos in progress
    photopipe.ledger.leases.release("the run")
    (again,) = tick(instance, photopipe)
    assert again.partition_key == key(1).partition_key
    assert instance.get_run_by_id(run.run_id).is_failure


def test_what_a_dead_run_had_published_is_shown_and_the_run_is_buried(instance, photopipe):
    submit(photopipe.ledger, 1)
    tick(instance, photopipe)
    ledger, run = photopipe.ledger, start_run(instance)
    ledger.leases.take([run_lease(run.run_id), job_lease(key(1).job_id)], "the run")
    ledger.transitions.begin(key(1), run.run_id, again=True)
    ledger.transitions.advance(key(1).job_id, JobStatus.DONE, published=("product", "media"))
    shown = dg.AssetMaterialization("original", partition=key(1).partition_key)
    instance.report_runless_asset_event(shown)
    assert tick(instance, photopipe) == []
    assert not instance.get_run_by_id(run.run_id).is_finished
    move_clock(ledger, 11)
    for _ in range(2):
        assert tick(instance, photopipe) == []
    assert instance.get_run_by_id(run.run_id).is_failure
    for stage in STAGES:
        events = instance.fetch_materializations(dg.AssetKey(stage.value), limit=9).records
        assert [event.partition_key for event in events] == [key(1).partition_key]


def test_after_all_retries_it_stays_failed_with_the_reason(instance, photopipe):
    submit(photopipe.ledger, 1)
    for _ in range(4):
        tick(instance, photopipe)
        photopipe.ledger.transitions.begin(key(1), "gone", again=True)
    assert tick(instance, photopipe) == []
    job = photopipe.ledger.jobs.require(key(1).job_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, ErrorCode.UNKNOWN_ERROR)
    assert "died" in job.error_message


def test_split_keeps_new_keys_together_in_order():
    keys = [key(n) for n in range(6)]
    positions = {keys[4].partition_key: 7, keys[1].partition_key: 8, keys[0].partition_key: 3}
    groups, new = dispatch.split(Dispatch("d", tuple(keys)), positions)
    assert groups == [
        [keys[0].partition_key],
        [keys[4].partition_key, keys[1].partition_key],
    ]
    assert new == [keys[n].partition_key for n in (2, 3, 5)]


def spend(ledger: Ledger, usd: str) -> None:
    ledger.spending.reserve(
        usd, key=key(0), stage=Stage.MASK, provider="freepik", amount=Decimal(usd), owner="me"
    )


def test_those_that_wait_for_budget_go_out_as_far_as_it_reaches(instance, photopipe, monkeypatch):
    monkeypatch.setenv("AI_PROVIDER", "freepik")
    monkeypatch.setenv("FREEPIK_API_KEY", "made-up")
    monkeypatch.setenv("FREEPIK_RESOLUTION", "2k")
    monkeypatch.setenv("PRICE_CHANGES", "2020-01-01 cutout=0.03")
    monkeypatch.setenv("COST_LIMIT_DAILY_USD", "1.00")
    photopipe = PhotopipeResource()
    ledger = photopipe.ledger
    spend(ledger, "0.80")
    submit(ledger, *range(5))
    tick(instance, photopipe)
    for number in range(5):
        ledger.transitions.begin(key(number), "run", again=False)
        ledger.transitions.fail(key(number).job_id, BudgetExceededError("spent"))
    # 0.20 USD are left, and a photo costs 0.03 + 0.05.
    (request,) = tick(instance, photopipe)
    assert len(covered(instance, request)) == 2
    assert tick(instance, photopipe) == []
    assert ledger.jobs.require(key(0).job_id).retry_count == 0

    monkeypatch.setenv("COST_LIMIT_DAILY_USD", "2.00")
    (request,) = tick(instance, PhotopipeResource())
    assert len(covered(instance, request)) == 3


def threejms_poll(context: dg.SensorEvaluationContext):
    sensors = {sensor.name: sensor for sensor in source_sensors()}
    return sensors["threejms_poll"](context)


def test_polling_brings_photos_in_once_and_waits_its_turn(instance, photopipe, monkeypatch):
    with running_sandbox() as sandbox:
        monkeypatch.setenv("THREEJMS_API_URL", sandbox.threejms_url)
        monkeypatch.setenv("THREEJMS_API_KEY", sandbox.config.threejms_key)
        monkeypatch.setenv("IMAGE_URL_ALLOWED_HOSTS", sandbox.url.removeprefix("http://"))
        photopipe = PhotopipeResource()
        for number in range(3):
            sandbox.state.threejms.add(f"P-{number}", photo_of_a_mug(number), "image/jpeg")
        context = dg.build_sensor_context(
            instance=instance, resources={"photopipe": photopipe}, cursor=None
        )
        (skip,) = list(threejms_poll(context))
        assert photopipe.ledger.jobs.stats().total == 3
        assert photopipe.ledger.watermarks.get(POLLING.watermark)
        assert "3" in skip.skip_message
        (skip,) = list(threejms_poll(context))
        assert "Next poll" in skip.skip_message


def test_polling_is_off_without_an_address(instance, photopipe):
    context = dg.build_sensor_context(instance=instance, resources={"photopipe": photopipe})
    (skip,) = list(threejms_poll(context))
    assert "THREEJMS_API_URL" in skip.skip_message
