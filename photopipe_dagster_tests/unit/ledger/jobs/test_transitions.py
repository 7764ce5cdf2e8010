import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import DatabaseError

from photopipe_dagster.core.errors import (
    ErrorCode,
    InvalidTransitionError,
    JobError,
    PhotoRejectedError,
)
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo

TRANSIENT = JobError("later", code=ErrorCode.NETWORK_ERROR, retryable=True, details={"try": 1})


def dispatch_all(ledger: Ledger, size: int = 50):
    return ledger.dispatches.take(photos_per_dispatch=size, limit=1000)


def test_fifty_announcements_at_once_make_one_job(ledger: Ledger):
    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(lambda _: ledger.intake.submit(photo(), "webhook"), range(50)))
    assert sum(submission.created for submission in made) == 1
    assert {submission.job.id for submission in made} == {photo().job_id}
    assert ledger.jobs.stats().total == 1


def test_a_fresh_url_replaces_one_that_was_not_fetched_yet(ledger: Ledger):
    ledger.intake.submit(photo(), "webhook", image_url="https://x.test/a?token=old")
    again = ledger.intake.submit(photo(), "poll", image_url="https://x.test/a?token=new")
    assert not again.created
    assert again.job.image_url == "https://x.test/a?token=new"
    ledger.transitions.advance(photo().job_id, JobStatus.SEGMENTING, stored=(Stage.ORIGINAL, "x"))
    late = ledger.intake.submit(photo(), "poll", image_url="https://x.test/a?token=late")
    assert late.job.image_url == "https://x.test/a?token=new"
    assert ledger.intake.submit(photo(), "submit").job.image_url == late.job.image_url


def test_errors_of_the_database_show_no_values(ledger: Ledger):
    with ledger.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE jobs")
    with pytest.raises(DatabaseError) as caught:
        ledger.intake.submit(photo(), "webhook", image_url="https://x.test/a?token=CANARY")
    assert "CANARY" not in str(caught.value)


def test_a_job_goes_its_way_and_keeps_the_moments(ledger: Ledger, clock: Clock):
    job = ledger.intake.submit(photo(), "webhook", image_url="https://x.test/a.jpg").job
    assert (job.status, job.image_url) == (JobStatus.NEW, "https://x.test/a.jpg")
    dispatch_all(ledger)
    job = ledger.transitions.begin(photo(), "run", again=True)
    assert job.status is JobStatus.QUEUED
    clock.move(5)
    ledger.transitions.advance(job.id, JobStatus.SEGMENTING)
    ledger.transitions.advance(job.id, JobStatus.BG_GENERATING, stored=(Stage.MASK, "masks/x.png"))
    ledger.transitions.advance(job.id, JobStatus.DONE, published=("gid://p", "gid://m"))
    ledger.transitions.advance(job.id, JobStatus.COMPOSITING)
    done = ledger.jobs.require(job.id)
    assert done.status is JobStatus.DONE
    assert (done.product_id, done.media_id) == ("gid://p", "gid://m")
    assert done.object_keys[Stage.MASK] == "masks/x.png"
    assert done.completed_at == clock.now
    assert (done.started_at - done.queued_at).total_seconds() == 5


def test_a_done_job_is_made_again_only_if_asked(ledger: Ledger):
    ledger.transitions.begin(photo(), "one", again=True)
    ledger.transitions.advance(photo().job_id, JobStatus.DONE)
    assert ledger.transitions.begin(photo(), "two", again=False).status is JobStatus.DONE
    assert ledger.transitions.begin(photo(), "three", again=True).status is JobStatus.QUEUED


def test_retries_wait_longer_each_time_and_end(ledger: Ledger, clock: Clock):
    ledger.intake.submit(photo(), "poll")
    waits = []
    for _ in range(3):
        (dispatch,) = dispatch_all(ledger)
        assert dispatch.keys == (photo(),)
        failed = ledger.transitions.fail(photo().job_id, TRANSIENT)
        assert (failed.status, failed.error_code) == (JobStatus.FAILED, ErrorCode.NETWORK_ERROR)
        if failed.retry_at is None:
            break
        waits.append((failed.retry_at - clock.now).total_seconds())
        clock.move(waits[-1] - 1)
        assert dispatch_all(ledger) == []
        clock.move(1)
    assert waits == [60, 120]
    assert ledger.jobs.require(photo().job_id).retry_count == 2
    clock.move(100_000)
    assert dispatch_all(ledger) == []


def test_a_permanent_failure_waits_for_a_person(ledger: Ledger, clock: Clock):
    ledger.intake.submit(photo(), "poll")
    dispatch_all(ledger)
    ledger.transitions.fail(photo().job_id, PhotoRejectedError("truncated", details={"bytes": 3}))
    clock.move(100_000)
    assert dispatch_all(ledger) == []
    ledger.transitions.retry(photo().job_id)
    (dispatch,) = dispatch_all(ledger)
    assert dispatch.keys == (photo(),)
    queued = ledger.jobs.require(photo().job_id)
    assert (queued.status, queued.error_code, queued.error_details) == (
        JobStatus.QUEUED,
        None,
        None,
    )


def test_a_run_fails_only_what_is_in_its_hands(ledger: Ledger):
    job_id = photo().job_id
    ledger.intake.submit(photo(), "webhook")
    dispatch_all(ledger)
    ledger.transitions.begin(photo(), "taken over by", again=True)
    for stranger in ("stood still", None):
        with pytest.raises(InvalidTransitionError, match="taken over by"):
            ledger.transitions.fail(job_id, TRANSIENT, run_id=stranger)
    assert ledger.jobs.require(job_id).status is JobStatus.QUEUED
    ledger.transitions.advance(job_id, JobStatus.DONE, published=("product", "media"))
    with pytest.raises(InvalidTransitionError, match="DONE"):
        ledger.transitions.fail(job_id, TRANSIENT, run_id="taken over by", in_progress=True)
    ledger.transitions.begin(photo(), "of some stages", again=False)
    assert (
        ledger.transitions.fail(job_id, TRANSIENT, run_id="of some stages").status
        is JobStatus.FAILED
    )


def test_who_believes_that_a_photo_was_abandoned_leaves_what_a_person_decided(ledger: Ledger):
    transitions = ledger.transitions
    for number, decide in enumerate(
        (
            lambda key: transitions.cancel(key.job_id, by="a person"),
            lambda key: transitions.hold(key.job_id, ["look"], "digest"),
            lambda key: transitions.fail(key.job_id, PhotoRejectedError("truncated")),
        ),
        start=1,
    ):
        key = photo(number)
        ledger.intake.submit(key, "poll")
        dispatch_all(ledger)
        decide(key)
        decided = ledger.jobs.require(key.job_id)
        with pytest.raises(InvalidTransitionError, match="not on its way"):
            transitions.fail(key.job_id, TRANSIENT, run_id=None, in_progress=True)
        assert ledger.jobs.require(key.job_id) == decided


def test_what_a_person_stopped_or_rejected_goes_on_when_a_person_says_so(ledger: Ledger):
    for number in (1, 2):
        ledger.intake.submit(photo(number), "poll")
    ledger.transitions.fail(photo(1).job_id, TRANSIENT)
    stopped = ledger.transitions.cancel(photo(1).job_id, by="N" * 70)
    assert (stopped.status, stopped.error_code, stopped.failed_at) == (
        JobStatus.CANCELLED,
        None,
        None,
    )
    assert stopped.decision == f"Cancelled by {'N' * 64}."
    ledger.transitions.hold(photo(2).job_id, ["look"], "digest")
    rejected = ledger.reviews.reject(photo(2).job_id, by="Eva", reason="")
    assert (rejected.status, rejected.decision) == (JobStatus.REJECTED, "Rejected by Eva.")
    assert dispatch_all(ledger) == []
    for job in (stopped, rejected):
        again = ledger.transitions.retry(job.id)
        assert (again.status, again.decision, again.retry_count) == (JobStatus.QUEUED, None, 0)
    assert again.review is Review.REJECTED, "it is asked again before this picture is published"
    (dispatch,) = dispatch_all(ledger)
    assert set(dispatch.keys) == {photo(1), photo(2)}


def test_only_a_failed_job_can_be_retried(ledger: Ledger):
    ledger.intake.submit(photo(), "poll")
    with pytest.raises(InvalidTransitionError, match="NEW"):
        ledger.transitions.retry(photo().job_id)


def test_dispatches_are_batches_of_one_kind_in_order(ledger: Ledger, clock: Clock):
    for number in range(1, 8):
        ledger.intake.submit(photo(number), "poll")
        clock.move(1)
    sizes = [[key.sku for key in each.keys] for each in dispatch_all(ledger, size=3)]
    assert sizes == [["SKU-1", "SKU-2", "SKU-3"], ["SKU-4", "SKU-5"], ["SKU-6", "SKU-7"]]
    assert dispatch_all(ledger) == []
    ledger.transitions.fail(photo(2).job_id, TRANSIENT)
    clock.move(60)
    ledger.intake.submit(photo(9), "poll")
    kinds = [[key.sku for key in each.keys] for each in dispatch_all(ledger)]
    assert kinds == [["SKU-9"], ["SKU-2"]]


def test_dispatchers_side_by_side_send_each_photo_out_once(ledger: Ledger):
    photos = [photo(number) for number in range(40)]
    for key in photos:
        ledger.intake.submit(key, "poll")

    def sent(_: int) -> list[PhotoKey]:
        return [key for dispatch in dispatch_all(ledger, size=7) for key in dispatch.keys]

    def sent_by_all() -> list[PhotoKey]:
        return sorted(key for keys in pool.map(sent, range(6)) for key in keys)

    def hand_back_and_send(number: int) -> None:
        ids = [key.job_id for key in photos]
        random.Random(number).shuffle(ids)
        ledger.transitions.requeue(ids, run_id=None)
        sent(number)

    with ThreadPoolExecutor(6) as pool:
        assert sent_by_all() == sorted(photos)
        list(pool.map(hand_back_and_send, range(30)))
        ledger.transitions.requeue([key.job_id for key in photos], run_id=None)
        assert sent_by_all() == sorted(photos)


def test_a_dispatch_that_nobody_took_up_is_found_and_goes_out_again(ledger: Ledger, clock: Clock):
    ledger.intake.submit(photo(), "poll")
    (dispatch,) = dispatch_all(ledger)
    assert ledger.dispatches.undelivered(60) == []
    clock.move(61)
    assert ledger.dispatches.undelivered(60) == [dispatch]
    ledger.transitions.requeue([photo().job_id], run_id=None)
    assert ledger.dispatches.undelivered(60) == []
    (again,) = dispatch_all(ledger)
    assert again.keys == dispatch.keys
    assert again.id != dispatch.id
    ledger.transitions.begin(photo(), "run", again=True)
    clock.move(61)
    assert ledger.dispatches.undelivered(60) == []


def test_photos_of_a_dead_run_are_found_when_its_claim_ends(ledger: Ledger, clock: Clock):
    job = ledger.transitions.begin(photo(), "run", again=True)
    ledger.leases.take([job_lease(job.id)], "run")
    ledger.transitions.advance(job.id, JobStatus.SEGMENTING)
    assert ledger.dispatches.abandoned() == []
    clock.move(31)
    assert [each.id for each in ledger.dispatches.abandoned()] == [job.id]
    ledger.transitions.advance(job.id, JobStatus.DONE)
    assert ledger.dispatches.abandoned() == []


def test_what_is_handed_back_keeps_its_place(ledger: Ledger):
    job = ledger.transitions.begin(photo(), "run", again=True)
    ledger.transitions.advance(job.id, JobStatus.COMPOSITING)
    ledger.transitions.requeue([job.id], "another run")
    assert ledger.jobs.require(job.id).run_id == "run"
    ledger.transitions.requeue([job.id], "run")
    assert ledger.dispatches.abandoned() == []
    dispatch_all(ledger)
    again = ledger.transitions.begin(photo(), "run 2", again=True)
    assert (again.status, again.retry_count) == (JobStatus.COMPOSITING, 0)


@pytest.mark.parametrize("deep", [0, 5, 1000])
def test_deep_pages_are_those_that_come_one_after_another(
    ledger: Ledger, clock: Clock, monkeypatch, deep: int
):
    monkeypatch.setattr("photopipe_dagster.ledger.stats.job_counts.DEEP", deep)
    borders = ["2025-12-31T23:59:59.999999", "2026-01-01", "2026-02-28T23:59:59", "2026-03-01"]
    moments = [*borders, "2026-03-01", "2026-03-31T12:00", "2026-12-01", "2026-12-31T23:59"]
    photos = [photo(number, ("default", "kitchen")[number % 2]) for number in range(8)]
    for key, moment in zip(photos, moments, strict=True):
        clock.now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        ledger.intake.submit(key, "submit")
    for key in photos[1::3]:
        ledger.transitions.fail(key.job_id, TRANSIENT)
    for folded in (False, True):
        if folded:
            ledger.counts.compact()
        for which in (
            JobQuery(),
            JobQuery(theme="kitchen"),
            JobQuery(statuses=(JobStatus.FAILED,)),
            JobQuery(statuses=(JobStatus.NEW,), theme="default"),
            JobQuery((JobStatus.NEW, JobStatus.FAILED, JobStatus.DONE)),
            JobQuery((JobStatus.NEW, JobStatus.FAILED), theme="kitchen"),
            JobQuery(sku="SKU-4"),
            JobQuery((JobStatus.NEW, JobStatus.FAILED), sku_part="SKU-4"),
        ):
            everything = ledger.jobs.find(which, limit=100)
            assert len(everything) == ledger.jobs.count(which)
            for offset in range(10):
                for limit in (1, 3, 100):
                    page = ledger.jobs.find(which, limit=limit, offset=offset)
                    assert page == everything[offset : offset + limit], (which, offset, limit)


def test_what_is_done_comes_a_page_at_a_time(ledger: Ledger, clock: Clock, monkeypatch):
    monkeypatch.setattr("photopipe_dagster.ledger.jobs.queries.PAGE", 2)
    photos = [photo(number, ("default", "kitchen")[number % 2]) for number in range(9)]
    for number, key in enumerate(photos):
        clock.move(number // 6)  # most of them at the same moment
        ledger.intake.submit(key, "poll")
        if number:
            ledger.transitions.advance(key.job_id, JobStatus.DONE)
    pages = list(ledger.jobs.done_in(["kitchen", "default", "luxury"]))
    assert max(map(len, pages)) == 2
    assert sorted(key for page in pages for key, _ in page) == sorted(photos[1:])
    assert [*ledger.jobs.done_in(["luxury"])] == []


def test_filters_paging_and_stats(ledger: Ledger, clock: Clock):
    for number in range(5):
        ledger.intake.submit(photo(number, "luxury" if number % 2 else "default"), "poll")
        clock.move(1)
    newest = ledger.jobs.find(JobQuery(), limit=2)
    assert [job.key.sku for job in newest] == ["SKU-4", "SKU-3"]
    assert [job.key.sku for job in ledger.jobs.find(JobQuery(), limit=9, offset=4)] == ["SKU-0"]
    assert ledger.jobs.count(JobQuery(theme="luxury")) == 2
    assert ledger.jobs.count(JobQuery((JobStatus.DONE,), sku="SKU-1")) == 0
    ledger.transitions.fail(photo(1, "luxury").job_id, TRANSIENT)
    stats = ledger.jobs.stats()
    assert (stats.total, stats.by_status[JobStatus.FAILED], stats.total_cost) == (5, 1, 0)
