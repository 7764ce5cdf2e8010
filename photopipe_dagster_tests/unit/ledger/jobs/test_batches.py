from decimal import Decimal
from typing import Any

import pytest

from photopipe_dagster.core.errors import NotFoundError, PhotoRejectedError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.batches import Batch
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo


def start(ledger: Ledger, count: int, first: int = 1, theme: str = "luxury") -> Batch:
    photos = [photo(number, theme) for number in range(first, first + count)]
    return ledger.batches.start(
        photos, what="luxury for all", by="ann", estimate=Decimal("0.07") * count
    )


def done(ledger: Ledger, number: int, theme: str = "default") -> str:
    key = photo(number, theme)
    ledger.intake.submit(key, "webhook", image_url=f"https://example.com/{number}.jpg")
    ledger.transitions.begin(key, "run", again=True)
    ledger.transitions.advance(key.job_id, JobStatus.DONE, published=("p", "m"))
    return key.job_id


def dispatched(ledger: Ledger) -> list[tuple[list[str], bool]]:
    found = ledger.dispatches.take(photos_per_dispatch=10, limit=100)
    return [(sorted(key.sku for key in each.keys), each.yields) for each in found]


def test_a_batch_goes_a_few_at_a_time(ledger: Ledger):
    batch = start(ledger, 5)
    assert (batch.total, batch.waiting, batch.estimate) == (5, 5, Decimal("0.35"))
    assert dispatched(ledger) == [], "nothing is due before it is let go"
    assert ledger.batches.release(2) == 2
    assert ledger.batches.release(2) == 0, "two are under way"
    assert dispatched(ledger) == [(["SKU-1", "SKU-2"], True)]
    for number in (1, 2):
        ledger.transitions.begin(photo(number, "luxury"), "run", again=True)
        ledger.transitions.advance(
            photo(number, "luxury").job_id, JobStatus.DONE, published=("p", "m")
        )
    assert ledger.batches.release(2) == 2
    batch = ledger.batches.require(batch.id)
    assert (batch.total, batch.waiting, batch.ended) == (5, 1, 2)
    assert batch.by_status == {JobStatus.DONE: 2, JobStatus.NEW: 2}


def test_photos_that_have_just_come_in_overtake(ledger: Ledger):
    start(ledger, 1)
    ledger.batches.release(5)
    ledger.intake.submit(photo(9), "webhook")
    assert dispatched(ledger) == [(["SKU-9"], False), (["SKU-1"], True)]


def test_a_job_that_is_done_is_made_again_and_one_under_way_is_let_be(ledger: Ledger, clock: Clock):
    finished = done(ledger, 1, "luxury")
    busy = photo(2, "luxury")
    ledger.intake.submit(busy, "webhook")
    ledger.transitions.begin(busy, "run", again=True)
    before = ledger.jobs.require(busy.job_id)
    start(ledger, 2)
    clock.move(1)
    ledger.batches.release(5)
    assert ledger.jobs.require(finished).status is JobStatus.QUEUED
    assert ledger.jobs.require(busy.job_id) == before
    assert dispatched(ledger) == [(["SKU-1"], True)]


def test_a_failed_job_is_tried_again_with_all_its_retries(ledger: Ledger):
    key = photo(1, "luxury")
    ledger.intake.submit(key, "webhook")
    ledger.transitions.begin(key, "run", again=True)
    ledger.transitions.fail(key.job_id, PhotoRejectedError("No picture."))
    start(ledger, 1)
    ledger.batches.release(5)
    job = ledger.jobs.require(key.job_id)
    assert (job.status, job.retry_count, job.error_code) == (JobStatus.QUEUED, 0, None)


def test_another_theme_knows_where_the_photo_came_from(ledger: Ledger):
    done(ledger, 1)
    start(ledger, 1)
    ledger.batches.release(5)
    job = ledger.jobs.require(photo(1, "luxury").job_id)
    assert (job.image_url, job.source) == ("https://example.com/1.jpg", "backfill")


def test_cancelling_takes_away_what_waits_and_nothing_else(ledger: Ledger):
    batch = start(ledger, 3)
    ledger.batches.release(1)
    ledger.batches.cancel(batch.id)
    assert ledger.batches.release(5) == 0
    batch = ledger.batches.require(batch.id)
    assert (batch.total, batch.waiting) == (1, 0)
    assert batch.cancelled_at is not None
    assert dispatched(ledger) == [(["SKU-1"], True)], "what is under way is finished"
    with pytest.raises(NotFoundError):
        ledger.batches.cancel("none")


def test_a_batch_of_which_nothing_waits_is_not_cancelled(ledger: Ledger):
    batch = start(ledger, 2)
    ledger.batches.release(5)
    assert ledger.batches.cancel(batch.id).state == "under way"


def test_what_is_cancelled_while_it_is_let_go_stays_as_it_was(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    finished = done(ledger, 2, "luxury")
    before = ledger.jobs.require(finished)
    batch = start(ledger, 3)
    source = ledger.batches._source
    seen: list[str] = []

    def cancelled_at_the_second(key: PhotoKey) -> str | None:
        seen.append(key.sku)
        if len(seen) == 2:
            ledger.batches.cancel(batch.id)
        return source(key)

    monkeypatch.setattr(ledger.batches, "_source", cancelled_at_the_second)
    assert ledger.batches.release(5) == 1
    assert seen == ["SKU-1", "SKU-2", "SKU-3"]
    assert ledger.jobs.require(finished) == before
    assert ledger.jobs.get(photo(3, "luxury").job_id) is None
    assert dispatched(ledger) == [(["SKU-1"], True)]
    assert ledger.batches.require(batch.id).total == 1


@pytest.mark.parametrize("known", [False, True])
def test_a_photo_waits_still_if_the_process_dies_while_it_is_let_go(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, known: bool
):
    if known:
        done(ledger, 1, "luxury")
    before = ledger.jobs.get(photo(1, "luxury").job_id)
    batch = start(ledger, 1)
    let_go = ledger.batches._let_go

    def killed(*arguments: Any) -> None:
        let_go(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger.batches, "_let_go", killed)
    with pytest.raises(KeyboardInterrupt):
        ledger.batches.release(5)
    monkeypatch.undo()
    assert ledger.batches.require(batch.id).waiting == 1
    assert ledger.jobs.get(photo(1, "luxury").job_id) == before
    assert dispatched(ledger) == []
    assert ledger.batches.release(5) == 1
    assert dispatched(ledger) == [(["SKU-1"], True)]


def test_a_failed_photo_is_looked_for_where_another_theme_came_from(ledger: Ledger):
    done(ledger, 1)
    key = photo(1, "luxury")
    ledger.transitions.begin(key, "run", again=True)
    ledger.transitions.fail(key.job_id, PhotoRejectedError("No picture."))
    start(ledger, 1)
    ledger.batches.release(5)
    assert ledger.jobs.require(key.job_id).image_url == "https://example.com/1.jpg"


def test_batches_take_turns_by_age(ledger: Ledger, clock: Clock):
    first = start(ledger, 2)
    clock.move(1)
    second = start(ledger, 2, first=11)
    ledger.batches.release(3)
    assert dispatched(ledger) == [(["SKU-1", "SKU-11", "SKU-2"], True)]
    assert [batch.id for batch in ledger.batches.newest()] == [second.id, first.id]


def test_a_batch_that_is_begun_twice_is_one(ledger: Ledger):
    def begin() -> Batch:
        photos = [photo(number, "luxury") for number in (1, 2)]
        return ledger.batches.start(
            photos, what="twice", by="ann", estimate=Decimal(1), batch_id="0123456789ab"
        )

    first = begin()
    ledger.batches.release(1)
    assert begin().waiting == 1
    assert ledger.batches.newest() == [begin()]
    ledger.batches.cancel(first.id)
    assert begin().waiting == 0, "what was cancelled does not come back"
    assert first.state == "under way"
    assert begin().state == "cancelled"


def test_batches_are_read_page_by_page_and_their_jobs_by_status(ledger: Ledger, clock: Clock):
    ids = []
    for number in range(3):
        ids.append(start(ledger, 2, first=1 + 10 * number).id)
        clock.move(1)
    ledger.batches.release(3)
    job = photo(1, "luxury").job_id
    ledger.transitions.begin(photo(1, "luxury"), "run", again=True)
    ledger.transitions.fail(job, PhotoRejectedError("No picture."))
    found = ledger.batches.newest(2, 1)
    assert [batch.id for batch in found] == [ids[1], ids[0]]
    assert [batch.waiting for batch in found] == [1, 0]
    assert found[1].by_status == {JobStatus.FAILED: 1, JobStatus.NEW: 1}
    assert [each.id for each in ledger.batches.jobs_of(ids[0], [JobStatus.FAILED], 5)] == [job]
    assert ledger.batches.jobs_of(ids[1], [JobStatus.FAILED], 5) == []
