"""Breakers: what opens and closes one, and which photos go out meanwhile."""

from concurrent.futures import ThreadPoolExecutor

from photopipe_dagster.core.errors import (
    BUDGET,
    BudgetExceededError,
    ErrorCode,
    JobError,
    PhotoRejectedError,
    ProviderError,
    ServiceDownError,
)
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.breakers import Admission, Breaker
from photopipe_dagster.ledger.jobs.model import EXTERNAL
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo

CUTOUTS = "freepik.cutouts"


def down(service: str = CUTOUTS, *, retryable: bool = True) -> JobError:
    error = ProviderError("Freepik answered 503.", retryable=retryable)
    error.blamed_service = service
    return error


def fail(ledger: Ledger, *numbers: int, retryable: bool = True) -> None:
    for number in numbers:
        ledger.intake.submit(photo(number), "submit")
        ledger.transitions.begin(photo(number), "run", again=False)
        ledger.transitions.fail(photo(number).job_id, down(retryable=retryable))


def out(ledger: Ledger, *stages: Stage) -> list[list[PhotoKey]]:
    """What a tick would send out while the services of these stages are down."""
    names = {Stage.MASK: CUTOUTS, Stage.BACKGROUND: "backgrounds", Stage.SHOPIFY_MEDIA: "shopify"}
    open_now = {breaker.name: breaker for breaker in ledger.breakers.down()}
    dispatches = ledger.dispatches.take(
        photos_per_dispatch=50,
        limit=100,
        may_pay=lambda _: False,
        down={stage: open_now[names[stage]] for stage in stages},
    )
    return [list(dispatch.keys) for dispatch in dispatches]


def open_up(ledger: Ledger, service: str) -> None:
    for number in range(900, 905):
        ledger.intake.submit(photo(number), "submit")
        ledger.transitions.fail(photo(number).job_id, down(service))
    with ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM jobs WHERE sku LIKE 'SKU-90%%'")


def test_so_many_failures_in_a_row_open_it_and_burn_nothing(ledger: Ledger, clock: Clock):
    fail(ledger, 1, 2, 3, 4)
    assert ledger.breakers.down() == []
    assert isinstance(ledger.breakers.admit(CUTOUTS), Admission)
    clock.move(5)
    fail(ledger, 5)
    (breaker,) = ledger.breakers.down()
    assert (breaker.failures, breaker.opened_at) == (5, clock.now)
    assert (clock.now - breaker.failing_since).total_seconds() == 5
    assert "Freepik answered 503." in breaker.describe()
    assert ledger.breakers.admit(CUTOUTS) == breaker
    jobs = [ledger.jobs.require(photo(number).job_id) for number in range(1, 6)]
    assert {job.waiting_for for job in jobs} == {CUTOUTS}
    assert all(job.retry_at for job in jobs)
    clock.move(60)
    ((probe,),) = out(ledger, Stage.MASK)
    assert ledger.jobs.require(probe.job_id).retry_count == 0


def test_what_a_person_cancelled_does_not_come_back_when_it_opens(ledger: Ledger, clock: Clock):
    fail(ledger, 1)
    ledger.transitions.cancel(photo(1).job_id, by="a person")
    fail(ledger, 2, 3, 4, 5)
    assert len(ledger.breakers.down()) == 1
    assert ledger.jobs.require(photo(1).job_id).status is JobStatus.CANCELLED
    clock.move(3600)
    assert photo(1) not in {key for keys in out(ledger) for key in keys}


def test_refused_keys_and_used_up_retries_come_back_when_it_opens(ledger: Ledger):
    for _ in range(3):
        fail(ledger, 1)
        if ledger.jobs.require(photo(1).job_id).retry_at:
            ledger.transitions.retry(photo(1).job_id)
            out(ledger)
    assert ledger.jobs.require(photo(1).job_id).retry_at is None
    fail(ledger, 2, retryable=False)
    assert ledger.jobs.require(photo(2).job_id).retry_at is None
    fail(ledger, 3)
    waiting = [ledger.jobs.require(photo(number).job_id) for number in (1, 2, 3)]
    assert all(job.retry_at is not None and job.waiting_for == CUTOUTS for job in waiting)


def test_failures_before_the_row_and_for_other_reasons_stay(ledger: Ledger, clock: Clock):
    fail(ledger, 1, retryable=False)
    clock.move(1)
    ledger.breakers.succeeded(CUTOUTS, Admission(clock.now))
    clock.move(1)
    ledger.intake.submit(photo(2), "submit")
    ledger.transitions.fail(photo(2).job_id, PhotoRejectedError("no photo"))
    fail(ledger, 11, 12, 13, 14, 15)
    for number in (1, 2):
        job = ledger.jobs.require(photo(number).job_id)
        assert (job.retry_at, job.waiting_for) == (None, None)


def test_only_a_success_that_began_in_the_row_ends_it(ledger: Ledger, clock: Clock):
    before = ledger.breakers.admit(CUTOUTS)
    clock.move(1)
    fail(ledger, 1, 2, 3, 4)
    ledger.breakers.succeeded(CUTOUTS, before)
    assert ledger.breakers.get(CUTOUTS).failures == 4
    since = ledger.breakers.admit(CUTOUTS)
    ledger.breakers.succeeded(CUTOUTS, since)
    assert ledger.breakers.get(CUTOUTS).failures == 0
    fail(ledger, 5, 6, 7, 8)
    assert ledger.breakers.down() == []
    late = ledger.breakers.admit(CUTOUTS)
    fail(ledger, 9)
    ledger.breakers.succeeded(CUTOUTS, late)
    assert ledger.breakers.get(CUTOUTS).is_open


def test_one_of_many_gets_the_probe_and_the_wait_doubles(ledger: Ledger, clock: Clock):
    open_up(ledger, CUTOUTS)
    waits = []
    for _ in range(6):
        waits.append((ledger.breakers.get(CUTOUTS).retry_at - clock.now).total_seconds())
        clock.move(waits[-1])
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ledger.breakers.admit, [CUTOUTS] * 16))
        (probe,) = [answer for answer in answers if isinstance(answer, Admission)]
        assert probe.probe
        ledger.breakers.probe_failed(CUTOUTS, "still 503")
    assert waits == [60, 120, 240, 480, 900, 900]
    assert ledger.breakers.get(CUTOUTS).reason == "still 503"
    clock.move(900)
    probe = ledger.breakers.admit(CUTOUTS)
    ledger.breakers.succeeded(CUTOUTS, probe)
    assert ledger.breakers.down() == []
    assert ledger.breakers.admit(CUTOUTS) == Admission(clock.now)


def test_a_probe_that_showed_nothing_or_died_is_followed_by_another(ledger: Ledger, clock: Clock):
    open_up(ledger, CUTOUTS)
    clock.move(60)
    ledger.breakers.admit(CUTOUTS)
    ledger.breakers.probe_undecided(CUTOUTS)
    assert isinstance(ledger.breakers.admit(CUTOUTS), Breaker)
    clock.move(60)
    assert ledger.breakers.admit(CUTOUTS) == Admission(clock.now, probe=True)
    clock.move(599)
    assert isinstance(ledger.breakers.admit(CUTOUTS), Breaker)
    clock.move(1)
    assert ledger.breakers.admit(CUTOUTS) == Admission(clock.now, probe=True)


def test_photos_that_need_it_stay_and_the_others_go_out(ledger: Ledger):
    open_up(ledger, CUTOUTS)
    for number in (1, 2):
        ledger.intake.submit(photo(number), "submit")
    ledger.transitions.begin(photo(2), "run", again=False)
    ledger.transitions.advance(
        photo(2).job_id, JobStatus.BG_GENERATING, stored=(Stage.MASK, "masks/2")
    )
    ledger.transitions.requeue([photo(2).job_id], "run")
    assert out(ledger, Stage.MASK) == [[photo(2)]]
    assert out(ledger, Stage.MASK) == []
    assert out(ledger) == [[photo(1)]]


def test_one_photo_goes_out_to_try_it_and_no_second_while_that_is_on_its_way(
    ledger: Ledger, clock: Clock
):
    open_up(ledger, CUTOUTS)
    for number in (1, 2, 3):
        ledger.intake.submit(photo(number), "submit")
        clock.move(1)
    assert out(ledger, Stage.MASK) == []
    clock.move(60)
    assert out(ledger, Stage.MASK) == [[photo(1)]]
    assert out(ledger, Stage.MASK) == []
    ledger.transitions.begin(photo(1), "run", again=False)
    assert out(ledger, Stage.MASK) == []
    # What another orchestrator has in progress tries nothing, nor does what was handed back.
    ledger.transitions.requeue([photo(1).job_id], "run")
    ledger.transitions.take_external(photo(2).job_id, begin=True)
    assert ledger.jobs.require(photo(2).job_id).run_id == EXTERNAL
    assert out(ledger, Stage.MASK) == [[photo(1)]]


def test_photos_take_turns_at_trying(ledger: Ledger, clock: Clock):
    open_up(ledger, CUTOUTS)
    for number in (1, 2, 3):
        ledger.intake.submit(photo(number), "submit")
        clock.move(1)
    ledger.transitions.fail(
        photo(2).job_id, ServiceDownError("down", service=CUTOUTS, code=ErrorCode.API_ERROR)
    )
    tried = []
    for _ in range(6):
        clock.move(900)
        ((probe,),) = out(ledger, Stage.MASK)
        tried.append(probe)
        ledger.transitions.begin(probe, "run", again=False)
        ledger.breakers.admit(CUTOUTS)
        ledger.breakers.probe_failed(CUTOUTS, "503")
        ledger.transitions.fail(probe.job_id, down())
    assert tried == [photo(1), photo(3), photo(2)] * 2
    assert {ledger.jobs.require(key.job_id).retry_count for key in tried} == {0}


def test_a_shop_is_tried_by_photos_that_have_been_paid_for(ledger: Ledger, clock: Clock):
    open_up(ledger, "shopify")
    for number in range(1, 9):
        ledger.intake.submit(photo(number), "submit")
        clock.move(1)
    for number in (5, 6):
        ledger.transitions.begin(photo(number), "run", again=False)
        ledger.transitions.advance(
            photo(number).job_id, JobStatus.SHOPIFY_PUSH, stored=(Stage.COMPOSITE, "composites/5")
        )
        ledger.transitions.fail(photo(number).job_id, down("shopify"))
    tried = []
    for _ in range(12):
        clock.move(900)
        ((probe,),) = out(ledger, Stage.SHOPIFY_MEDIA)
        tried.append(probe)
        ledger.transitions.begin(probe, "run", again=False)
        ledger.breakers.admit("shopify")
        ledger.breakers.probe_failed("shopify", "ACCESS_DENIED")
        ledger.transitions.fail(probe.job_id, down("shopify"))
        clock.move(1)
    # They take turns; should they be to blame, another photo goes at the sixteenth failure.
    assert tried[:11] == [photo(5), photo(6)] * 5 + [photo(5)]
    assert tried[11] == photo(1)


def test_a_service_is_tried_by_photos_that_come_as_far(ledger: Ledger, clock: Clock):
    for service in (CUTOUTS, "shopify"):
        open_up(ledger, service)
    clock.move(60)
    for number in (1, 2, 3):
        ledger.intake.submit(photo(number), "submit")
        clock.move(1)
    stages = Stage.SHOPIFY_MEDIA, Stage.MASK
    assert out(ledger, *stages) == [[photo(1)]]  # it tries the cut-outs
    ledger.transitions.begin(photo(2), "run", again=False)
    ledger.transitions.advance(
        photo(2).job_id, JobStatus.BG_GENERATING, stored=(Stage.MASK, "masks/2")
    )
    ledger.transitions.fail(photo(2).job_id, down("shopify"))
    ledger.transitions.fail(photo(1).job_id, down())
    clock.move(60)
    ledger.breakers.admit(CUTOUTS)
    assert out(ledger, *stages) == [[photo(2)]]  # it tries the shop


def test_a_photo_waits_although_its_old_picture_is_stored(ledger: Ledger, clock: Clock):
    open_up(ledger, CUTOUTS)
    ledger.intake.submit(photo(1), "submit")
    ledger.transitions.begin(photo(1), "run", again=False)
    ledger.transitions.advance(
        photo(1).job_id, JobStatus.BG_GENERATING, stored=(Stage.MASK, "masks/1")
    )
    waits = ServiceDownError("down", service=CUTOUTS, code=ErrorCode.API_ERROR)
    job = ledger.transitions.fail(photo(1).job_id, waits)
    assert (job.error_code, job.waiting_for) == (ErrorCode.API_ERROR, CUTOUTS)
    clock.move(59)
    ledger.transitions.retry(photo(1).job_id)
    assert out(ledger, Stage.MASK) == []
    ledger.breakers.succeeded(CUTOUTS, Admission(clock.now, probe=True))
    assert out(ledger) == [[photo(1)]]
    job = ledger.jobs.require(photo(1).job_id)
    assert (job.waiting_for, job.retry_count, job.error_code) == (None, 0, None)


def test_what_waits_for_budget_tries_nothing(ledger: Ledger, clock: Clock):
    open_up(ledger, CUTOUTS)
    ledger.intake.submit(photo(1), "submit")
    job = ledger.transitions.fail(photo(1).job_id, BudgetExceededError("spent"))
    assert job.waiting_for == BUDGET
    clock.move(60)
    assert out(ledger, Stage.MASK) == []


def test_failures_at_once_are_all_counted_and_all_wait(ledger: Ledger):
    numbers = range(1, 13)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: fail(ledger, number), numbers))
    assert ledger.breakers.get(CUTOUTS).failures == 5
    jobs = [ledger.jobs.require(photo(number).job_id) for number in numbers]
    assert {job.waiting_for for job in jobs} == {CUTOUTS}
