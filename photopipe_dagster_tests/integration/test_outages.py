"""Services that are down, on the whole path: photos wait, burn no retries, and continue
automatically.

Real ticks of the sensor, real runs, and simulators that count who calls them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.cli.job_view import what_to_do
from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster_tests.support.dispatching import covered, evaluate, move_clock, run, tick
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

CUTOUT_CALL = "freepik.remove_background"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # One photo after another, so that the third refusal is known before the fourth call.
    small = {"BREAKER_FAILURES": "3", "PHOTOS_IN_FLIGHT": "1"}
    with world(tmp_path, monkeypatch, **small) as shop:
        yield shop


def announce(shop: World, *numbers: int) -> list[PhotoKey]:
    shop.stock(*(f"P{number}" for number in numbers))
    return [shop.announce(f"P{number}", photo_of_a_mug(number)) for number in numbers]


def go(shop: World) -> int:
    """Tick, and carry out what the tick asks for; how many photos that were."""
    requests = tick(shop.instance, PhotopipeResource())
    for request in requests:
        run(shop.instance, request)
    return sum(len(covered(shop.instance, request)) for request in requests)


def jobs(shop: World, status: JobStatus) -> list[Job]:
    return shop.ledger.jobs.find(JobQuery((status,)), limit=99)


def test_without_credits_few_photos_call_and_all_go_on_when_there_are_some(shop: World):
    def calls() -> int:
        return shop.sandbox.state.traffic.requests(CUTOUT_CALL)

    # One photo has its cut-out and its background already.
    (ready,) = announce(shop, 0)
    shop.materialize([ready], ["original", "mask", "background"])
    announce(shop, *range(1, 5))
    assert (calls(), shop.ledger.jobs.require(ready.job_id).status) == (1, JobStatus.COMPOSITING)

    shop.sandbox.state.faults.add(Fault(match=CUTOUT_CALL, kind="status", status=402, times=None))
    assert go(shop) == 5
    assert calls() == 1 + 3
    assert [job.key for job in jobs(shop, JobStatus.DONE)] == [ready]
    waiting = jobs(shop, JobStatus.FAILED)
    assert len(waiting) == 4
    assert {job.waiting_for for job in waiting} == {"freepik.cutouts"}
    assert {job.error_code for job in waiting} == {ErrorCode.API_ERROR}
    # People are shown the advice of the provider that failed.
    assert {(job.error_details or {})["provider"] for job in waiting} == {"freepik"}
    assert "FREEPIK_API_KEY" in what_to_do(waiting[0], shop.ledger)

    # Nobody goes out, new ones neither; it is said why.
    announce(shop, 5)
    skipped = evaluate(shop.instance, PhotopipeResource())
    assert isinstance(skipped, dg.SkipReason)
    assert "freepik.cutouts is down since" in skipped.skip_message
    assert "credits are used up" in skipped.skip_message
    doctor = CliRunner().invoke(app, ["doctor"]).output
    assert "freepik.cutouts: down since" in " ".join(doctor.split())

    # Then one goes out to try it.
    move_clock(shop.ledger, 60)
    assert (go(shop), calls()) == (1, 5)
    assert go(shop) == 0

    shop.sandbox.state.faults.clear()
    move_clock(shop.ledger, 119)
    assert go(shop) == 0
    move_clock(shop.ledger, 1)
    assert (go(shop), go(shop)) == (1, 4)
    done = jobs(shop, JobStatus.DONE)
    assert [job.retry_count for job in done] == [0] * 6
    assert len(shop.charges()) == 12
    assert shop.ledger.breakers.down() == []


def test_a_frozen_shop_stops_publishing_and_nothing_is_bought_twice(shop: World):
    def calls() -> int:
        return shop.sandbox.state.traffic.requests("shopify.graphql")

    announce(shop, *range(3))
    shop.sandbox.state.faults.add(
        Fault(match="shopify.graphql", kind="status", status=402, times=None)
    )
    assert go(shop) == 3
    refused = calls()
    waiting = jobs(shop, JobStatus.FAILED)
    assert {job.waiting_for for job in waiting} == {"shopify"}
    assert {job.error_code for job in waiting} == {ErrorCode.SHOPIFY_ERROR}
    assert shop.charges() == []
    assert go(shop) == 0
    assert calls() == refused

    shop.sandbox.state.faults.clear()
    move_clock(shop.ledger, 60)
    assert (go(shop), go(shop)) == (1, 2)
    done = jobs(shop, JobStatus.DONE)
    assert [job.retry_count for job in done] == [0] * 3
    assert (len(shop.charges()), shop.media()) == (6, 3)


def test_backgrounds_that_fail_one_after_another_are_not_bought_for_all(shop: World):
    def bought() -> int:
        return sum(charge.operation == "mystic" for charge in shop.charges())

    shop.sandbox.state.faults.add(
        Fault(match="freepik.mystic.create", kind="task_failed", times=None)
    )
    (first, *_) = announce(shop, *range(3))
    assert go(shop) == 3
    assert {job.waiting_for for job in jobs(shop, JobStatus.FAILED)} == {"freepik.backgrounds"}
    announce(shop, *range(3, 12))
    assert go(shop) == 0
    assert bought() <= 3

    shop.sandbox.state.faults.clear()
    move_clock(shop.ledger, 60)
    while go(shop):
        pass
    assert len(jobs(shop, JobStatus.DONE)) == 12
    assert bought() <= 3 + 12
    spends = shop.ledger.spending.of_job(first.job_id)
    assert sum(spend.discarded for spend in spends) == 1  # owned up to


def test_what_was_bought_in_vain_twice_is_bought_again_when_a_person_says_so(shop: World):
    shop.sandbox.state.faults.add(
        Fault(match="freepik.mystic.create", kind="task_failed", times=None)
    )
    (key,) = announce(shop, 0)
    assert not shop.materialize([key]).success
    assert shop.ledger.jobs.require(key.job_id).retry_at is not None
    assert not shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert job.retry_at is None
    assert f"paid 2 times for this photo: `photopipe retry {job.id}`" in job.error_message
