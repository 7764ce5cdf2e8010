"""What a person decides of a picture is kept with all that was measured of it."""

from __future__ import annotations

import pytest

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.decisions import Evidence, Outcome
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict, from_record
from photopipe_dagster_tests.unit.ledger.conftest import Clock, photo

CHECKS = (
    CheckResult(
        "picture_quality",
        Stage.COMPOSITE,
        (Measure("colours", 1.5, Verdict.WARN, "≤ 1", "Compare."),),
    ),
)
MADE = {"mask": {"recipe": "r" * 16, "sha256": "a" * 64, "facts": {"coverage": 0.25}}}


@pytest.fixture
def waiting(ledger: Ledger) -> Job:
    job = ledger.intake.submit(photo(), "webhook").job
    ledger.transitions.begin(photo(), "run", again=True)
    ledger.transitions.advance(
        job.id, JobStatus.COMPOSITING, stored=(Stage.COMPOSITE, "composite.jpg"), checks=CHECKS
    )
    return ledger.transitions.hold(
        job.id, [str(CHECKS[0].measures[0])], "d" * 64, evidence=Evidence("clothing", MADE)
    )


def test_a_decision_keeps_what_was_measured_who_decided_and_why(
    ledger: Ledger, waiting: Job, clock: Clock
):
    assert list(ledger.decisions.taken()) == []
    clock.move(60)
    ledger.reviews.reject(waiting.id, by="Ann", reason="The handle is missing.")
    (kept,) = ledger.decisions.taken()
    assert (kept.outcome, kept.note, kept.decided_by) == (
        Outcome.REJECTED,
        "The handle is missing.",
        "Ann",
    )
    assert (kept.theme, kept.kind, kept.stage, kept.digest) == (
        "default",
        "clothing",
        Stage.COMPOSITE,
        "d" * 64,
    )
    assert from_record(kept.quality) == CHECKS
    assert kept.made == MADE
    assert (kept.decided_at - kept.held_at).total_seconds() == 60


def test_it_stays_when_the_picture_is_made_anew(ledger: Ledger, waiting: Job):
    ledger.reviews.reject(waiting.id, by="Ann", reason="Crooked.")
    ledger.transitions.retry(waiting.id)
    ledger.transitions.begin(photo(), "another", again=True)
    better = (CheckResult("picture_quality", Stage.COMPOSITE, (Measure("colours", 0.1),)),)
    ledger.transitions.advance(waiting.id, JobStatus.SHOPIFY_PUSH, checks=better)
    ledger.transitions.hold(waiting.id, ["look"], "e" * 64)
    ledger.reviews.approve(waiting.id, by="Ben")
    first, second = ledger.decisions.taken()
    assert from_record(first.quality) == CHECKS
    assert (first.outcome, second.outcome) == (Outcome.REJECTED, Outcome.APPROVED)
    assert from_record(second.quality) == better


def test_what_was_held_and_never_decided_on_is_no_decision(ledger: Ledger, waiting: Job):
    ledger.transitions.hold(waiting.id, ["look again"], "e" * 64)
    ledger.reviews.approve(waiting.id, by="Ann")
    (kept,) = ledger.decisions.taken()
    assert (kept.digest, kept.reasons) == ("e" * 64, ("look again",))


def test_a_picture_that_an_earlier_version_held_is_decided_on_all_the_same(
    ledger: Ledger, waiting: Job
):
    with ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM decisions")
    ledger.reviews.approve(waiting.id, by="Ann")
    (kept,) = ledger.decisions.taken()
    assert (kept.outcome, kept.held_at, kept.made) == (Outcome.APPROVED, None, None)
    assert from_record(kept.quality) == CHECKS


def test_a_question_before_a_background_is_bought_is_about_the_cut_out(ledger: Ledger):
    job = ledger.intake.submit(photo(), "webhook").job
    ledger.transitions.begin(photo(), "run", again=True)
    ledger.transitions.hold(job.id, ["size"], "a" * 64, evidence=Evidence(None, MADE))
    ledger.reviews.approve(job.id, by="Ann")
    (kept,) = ledger.decisions.taken()
    assert kept.stage is Stage.MASK


def test_what_went_out_by_itself_is_told_from_what_a_person_approved(ledger: Ledger, waiting: Job):
    for number in (1, 2):
        job = ledger.intake.submit(photo(number), "webhook").job
        if number == 2:
            ledger.transitions.begin(photo(number), "run", again=True)
            ledger.transitions.advance(job.id, JobStatus.DONE, published=("p", "m"))
    assert [(each.sku, each.waits) for each in ledger.decisions.not_decided()] == [
        ("SKU-1", True),
        ("SKU-2", False),
    ]
    ledger.reviews.approve(waiting.id, by="Ann")
    ledger.transitions.advance(waiting.id, JobStatus.DONE, published=("p", "n"))
    assert [(each.sku, each.waits) for each in ledger.decisions.not_decided()] == [("SKU-2", False)]


def test_the_last_calibration_counts(ledger: Ledger):
    assert ledger.calibrations.current() is None
    ledger.calibrations.set({"limits": {"halo": 0.5}, "risk": None}, by="Ann")
    assert ledger.calibrations.current() == {"limits": {"halo": 0.5}, "risk": None}
    ledger.calibrations.set({}, by="Ann")
    assert ledger.calibrations.current() is None
