"""Pictures that wait for a person: held, approved, rejected, made again, published."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from photopipe_dagster.core.errors import CompositeError, InvalidTransitionError, NotFoundError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.dispatch import photo_dispatch
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.quality.results import from_record
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A shop in which a person looks at all pictures of the default theme."""
    with world(tmp_path, monkeypatch, APPROVAL_REQUIRED="default") as shop:
        shop.stock("A")
        yield shop


def dispatched(shop: World) -> list[PhotoKey]:
    """What the next tick of the sensor would send to a run."""
    dispatches = shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    return [key for dispatch in dispatches for key in dispatch.keys]


def held(shop: World, theme: str = "default") -> Job:
    """A photo that has come to its review."""
    key = shop.announce("A", photo_of_a_mug(1), theme)
    assert dispatched(shop) == [key]
    assert shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert job.review is Review.WAITING
    return job


def go_on(shop: World, job: Job) -> Job:
    """The next dispatch and its run."""
    assert dispatched(shop) == [job.key]
    shop.materialize([job.key])
    return shop.ledger.jobs.require(job.id)


def operations(shop: World) -> list[str]:
    return sorted(charge.operation for charge in shop.charges())


def test_a_photo_is_held_and_not_dispatched_again(shop: World, caplog):
    job = held(shop)
    assert job.status is JobStatus.SHOPIFY_PUSH
    assert job.review_digest == shop.store.head(job.object_keys[Stage.COMPOSITE]).metadata["sha256"]
    assert job.review_reasons == ("APPROVAL_REQUIRED has a person look at every default picture.",)
    assert shop.media() == 0
    assert dispatched(shop) == []
    assert shop.ledger.dispatches.abandoned() == []
    assert shop.ledger.dispatches.undelivered(0) == []
    assert [each.id for each in shop.ledger.reviews.waiting(limit=9)] == [job.id]
    assert shop.materialized("composite") == {job.key.partition_key}
    assert shop.materialized("shopify_media") == set()
    logged = shop.instance.all_logs(shop.instance.get_runs()[0].run_id)
    assert any("waits for a review" in entry.user_message for entry in logged)


def test_the_sensor_leaves_a_held_photo_alone(shop: World):
    job = held(shop)
    with dg.build_sensor_context(
        instance=shop.instance,
        repository_def=defs.get_repository_def(),
        resources={"photopipe": PhotopipeResource()},
    ) as context:
        for _ in range(3):
            answer = photo_dispatch(context)
            assert isinstance(answer, dg.SkipReason) or not answer.run_requests
    assert shop.ledger.jobs.require(job.id).review is Review.WAITING


def test_an_approved_picture_is_published_by_the_next_dispatch(shop: World):
    job = held(shop)
    bought = operations(shop)
    shop.ledger.reviews.approve(job.id, by="Ann", note="Lovely.")
    assert shop.ledger.reviews.count() == 0
    done = go_on(shop, job)
    assert (done.status, done.review, done.reviewed_by) == (JobStatus.DONE, Review.APPROVED, "Ann")
    assert shop.media() == 1
    assert operations(shop) == bought
    assert dispatched(shop) == []


def test_a_rejected_picture_is_no_failure_and_keeps_the_reason(shop: World):
    job = held(shop)
    rejected = shop.ledger.reviews.reject(job.id, by="Ann", reason="The handle is missing.")
    assert (rejected.status, rejected.error_code) == (JobStatus.REJECTED, None)
    assert rejected.decision == "Rejected by Ann: The handle is missing."
    assert (rejected.retry_at, rejected.failed_at) == (None, None)
    assert (rejected.review, rejected.review_note) == (Review.REJECTED, "The handle is missing.")
    assert shop.ledger.reviews.count() == 0
    assert dispatched(shop) == []
    assert shop.media() == 0


def test_a_rejected_picture_that_is_tried_again_is_not_published_by_that(shop: World, monkeypatch):
    job = held(shop)
    shop.ledger.reviews.reject(job.id, by="Ann", reason="Crooked.")
    monkeypatch.setenv("APPROVAL_REQUIRED", "")
    shop.ledger.transitions.retry(job.id)
    again = go_on(shop, job)
    assert again.review is Review.WAITING
    assert again.review_reasons == ("Ann has rejected this very picture: Crooked.",)
    assert shop.media() == 0


def test_another_background_is_bought_and_the_cut_out_is_not(shop: World):
    job = held(shop)
    waiting = shop.ledger.reviews.another_background(job.id, by="Ann")
    assert (waiting.status, waiting.variant, waiting.review) == (JobStatus.QUEUED, 2, None)
    assert shop.ledger.reviews.count() == 0
    again = go_on(shop, job)
    assert again.review is Review.WAITING
    assert again.review_digest != job.review_digest
    for stage in (Stage.BACKGROUND, Stage.COMPOSITE):
        key = again.object_keys[stage]
        assert key == job.key.object_key(stage, 2)
        assert key.endswith("_2.jpg")
        assert shop.store.head(key)
        assert shop.store.head(job.object_keys[stage]), "the first one is kept"
    assert operations(shop).count("remove_background") == 1
    assert len(shop.charges()) == 3
    assert again.background_cost == Decimal("0.10")
    loaded = defs.load_asset_value(
        "composite", partition_key=job.key.partition_key, instance=shop.instance
    )
    assert loaded == shop.store.get(again.object_keys[Stage.COMPOSITE]).data

    shop.ledger.reviews.approve(job.id, by="Ann")
    assert go_on(shop, job).status is JobStatus.DONE
    assert shop.media() == 1
    assert len(shop.charges()) == 3


def test_another_background_of_a_published_picture_takes_its_place(shop: World):
    job = held(shop)
    shop.ledger.reviews.approve(job.id, by="Ann")
    first = go_on(shop, job)
    shop.ledger.reviews.another_background(job.id, by="Ben")
    assert go_on(shop, job).review is Review.WAITING
    assert shop.media() == 1
    shop.ledger.reviews.approve(job.id, by="Ben")
    second = go_on(shop, job)
    assert second.status is JobStatus.DONE
    assert second.media_id != first.media_id
    assert shop.media() == 1


def test_another_background_of_a_picture_that_went_out_by_itself_is_looked_at_first(shop: World):
    key = shop.announce("A", photo_of_a_mug(1), "luxury")
    assert shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert job.status is JobStatus.DONE
    shop.ledger.reviews.another_background(job.id, by="Ben")
    waiting = go_on(shop, job)
    assert (waiting.review, waiting.media_id) == (Review.WAITING, job.media_id)
    assert waiting.review_reasons == ("A person asked for another background.",)
    assert shop.media() == 1
    shop.ledger.reviews.approve(job.id, by="Ben")
    done = go_on(shop, job)
    assert (done.status, shop.media()) == (JobStatus.DONE, 1)
    assert done.media_id != job.media_id
    # It has been seen: made again, it is published again.
    assert shop.materialize([key]).success
    assert shop.ledger.jobs.require(job.id).status is JobStatus.DONE


def test_an_approval_is_of_one_picture(shop: World, monkeypatch):
    """The theme's light was changed since: the composite is another one, and nobody saw it."""
    job = held(shop)
    shop.ledger.reviews.approve(job.id, by="Ann")
    theme = THEMES["default"]
    changed = replace(theme, light=replace(theme.light, contact=0.2))
    monkeypatch.setitem(THEMES, "default", changed)
    again = go_on(shop, job)
    assert (again.review, again.status) == (Review.WAITING, JobStatus.SHOPIFY_PUSH)
    assert again.review_digest != job.review_digest
    assert again.reviewed_by is None
    assert shop.media() == 0


def test_each_theme_has_a_review_of_its_own(shop: World):
    job = held(shop)
    luxury = shop.announce("A", photo_of_a_mug(1), "luxury")
    assert dispatched(shop) == [luxury]
    assert shop.materialize([luxury]).success
    assert shop.ledger.jobs.require(luxury.job_id).status is JobStatus.DONE
    assert shop.ledger.jobs.require(job.id).review is Review.WAITING
    assert shop.media() == 1
    shop.ledger.reviews.approve(job.id, by="Ann")
    assert go_on(shop, job).status is JobStatus.DONE
    assert shop.media() == 2
    assert operations(shop).count("remove_background") == 1


def test_a_held_photo_that_fails_later_waits_no_more(shop: World):
    job = held(shop)
    shop.ledger.transitions.fail(job.id, CompositeError("The background has left the store."))
    assert shop.ledger.reviews.count() == 0
    with pytest.raises(InvalidTransitionError):
        shop.ledger.reviews.approve(job.id, by="Ann")


def test_a_held_photo_that_nobody_has_to_see_any_more_is_published_and_leaves_the_queue(
    shop: World, monkeypatch
):
    job = held(shop)
    monkeypatch.setenv("APPROVAL_REQUIRED", "")
    assert shop.materialize([job.key]).success
    done = shop.ledger.jobs.require(job.id)
    assert (done.status, done.review) == (JobStatus.DONE, None)
    assert shop.ledger.reviews.count() == 0


def test_materializing_a_held_photo_by_hand_leaves_it_held(shop: World):
    job = held(shop)
    assert shop.materialize([job.key], ["composite", "shopify_media"]).success
    again = shop.ledger.jobs.require(job.id)
    assert (again.review, again.review_digest) == (Review.WAITING, job.review_digest)
    assert shop.media() == 0
    assert dispatched(shop) == []


def test_an_approval_during_a_run_stands(shop: World):
    """The run had looked before the person answered."""
    job = held(shop)
    shop.ledger.reviews.approve(job.id, by="Ann")
    shop.ledger.transitions.hold(job.id, job.review_reasons, job.review_digest)
    assert shop.ledger.jobs.require(job.id).review is Review.APPROVED
    assert go_on(shop, job).status is JobStatus.DONE


def test_only_a_waiting_job_can_be_decided_on(shop: World):
    job = held(shop)
    reviews = shop.ledger.reviews
    reviews.approve(job.id, by="Ann")
    for decide in (
        lambda: reviews.approve(job.id, by="Ben"),
        lambda: reviews.reject(job.id, by="Ben", reason=""),
        lambda: reviews.another_background(job.id, by="Ben"),
    ):
        with pytest.raises(InvalidTransitionError):
            decide()
    for decide in (
        lambda: reviews.approve("none", by="Ben"),
        lambda: reviews.reject("none", by="Ben", reason=""),
        lambda: reviews.another_background("none", by="Ben"),
    ):
        with pytest.raises(NotFoundError):
            decide()


def test_a_decision_keeps_checks_facts_kind_and_recipes_of_the_picture(shop: World):
    job = held(shop)
    shop.ledger.reviews.reject(job.id, by="Ann", reason="The handle is missing.")
    (kept,) = shop.ledger.decisions.taken()
    assert (kept.outcome, kept.theme) == ("rejected", "default")
    assert kept.note == "The handle is missing."
    assert {check.name for check in from_record(kept.quality)} == {
        "cutout_quality",
        "picture_quality",
    }
    for stage in (Stage.ORIGINAL, Stage.MASK, Stage.BACKGROUND, Stage.COMPOSITE):
        stored = shop.store.head(job.object_keys[stage])
        assert kept.made[stage]["recipe"] == stored.metadata["recipe"]
        assert kept.made[stage]["sha256"] == stored.metadata["sha256"]
        assert kept.made[stage]["facts"]["width"] > 0


def test_limits_that_a_shop_has_set_hold_its_next_pictures(shop: World, monkeypatch):
    monkeypatch.setenv("APPROVAL_REQUIRED", "")
    shop.ledger.calibrations.set({"limits": {"enlarged": 0.01}, "risk": None}, by="Ann")
    job = held(shop)
    (reason,) = job.review_reasons
    assert reason.startswith("enlarged is 1 (should be ≤ 0.01).")
