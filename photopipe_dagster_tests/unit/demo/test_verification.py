from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from photopipe_dagster.demo.sandbox_client import SandboxRecords
from photopipe_dagster.demo.verification import Evidence, first_round, second_round
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.unit.demo.jobs import BEGAN, job

CUTOUT = ("cutout", Decimal("0.02"))
SCENE = ("background", Decimal("0.05"))
BOTH = frozenset({"cutout", "background"})


@pytest.fixture
def seen() -> Evidence:
    """One product in two themes: one cut-out, two backgrounds, two pictures in the shop."""
    return Evidence(
        jobs=[job(theme="default"), job(theme="luxury")],
        spent_usd=Decimal("0.12"),
        pictures={"masks/A/1.png": BEGAN},
        records=SandboxRecords(
            polls=1,
            charges=(CUTOUT, SCENE, SCENE),
            files=(("media A default", "d.jpg"), ("media A luxury", "l.jpg")),
            media={"product A": ("media A default", "media A luxury")},
            made_in_shop=2,
        ),
    )


def held(findings) -> list[bool]:
    return [finding.ok for finding in findings]


def test_a_good_first_round(seen):
    assert held(first_round(seen, jobs_expected=2, paid=BOTH)) == [True] * 4
    assert held(first_round(seen, jobs_expected=2)) == [True] * 2


def test_sums_and_counts_read_from_the_books(seen):
    assert seen.records.billed_usd == Decimal("0.12")
    assert seen.records.published == 2


def test_a_photo_that_is_missing_or_not_done_is_found(seen):
    assert not first_round(seen, jobs_expected=3)[0].ok
    waiting = replace(seen, jobs=[seen.jobs[0], job(theme="luxury", status=JobStatus.QUEUED)])
    done, shop = first_round(waiting, jobs_expected=2)
    assert not done.ok
    assert done.says == "1 of 2 jobs are done"
    assert not shop.ok  # a picture in the shop that no finished job knows


@pytest.mark.parametrize(
    "media",
    [
        {"product A": ("media A default",)},
        {"product A": ("media A default", "media A luxury", "media A luxury 2")},
        {"product B": ("media A default", "media A luxury")},
        {"product A": ("media A default",), "product B": ("media A luxury",)},
    ],
)
def test_a_picture_that_is_missing_twice_or_on_another_product_is_found(seen, media):
    wrong = replace(seen, records=replace(seen.records, media=media))
    assert held(first_round(wrong, jobs_expected=2)) == [True, False]


def test_a_bill_that_the_ledger_does_not_know_is_found(seen):
    wrong = replace(seen, spent_usd=Decimal("0.07"))
    assert held(first_round(wrong, jobs_expected=2, paid=BOTH)) == [True, True, False, True]


def test_a_cutout_that_was_paid_for_each_theme_is_found(seen):
    records = replace(seen.records, charges=(CUTOUT, CUTOUT, SCENE, SCENE))
    wrong = replace(seen, records=records, spent_usd=Decimal("0.14"))
    assert held(first_round(wrong, jobs_expected=2, paid=BOTH)) == [True, True, True, False]


def test_who_makes_backgrounds_alone_is_paid_for_those(seen):
    records = replace(seen.records, charges=(SCENE, SCENE))
    alone = replace(seen, records=records, spent_usd=Decimal("0.10"))
    assert held(first_round(alone, jobs_expected=2, paid={"background"})) == [True] * 4
    assert held(first_round(alone, jobs_expected=2, paid=BOTH)) == [True, True, True, False]


def test_a_second_round_that_changed_nothing(seen):
    again = replace(seen, records=replace(seen.records, polls=2))
    assert held(second_round(seen, again)) == [True] * 4


def test_a_new_or_unfinished_job_is_found(seen):
    more = replace(seen, jobs=[*seen.jobs, job(theme="kitchen")])
    assert held(second_round(seen, more)) == [False, True, True, True]
    open_again = replace(seen, jobs=[seen.jobs[0], job(theme="luxury", status=JobStatus.QUEUED)])
    assert held(second_round(seen, open_again)) == [False, True, True, True]


def test_money_spent_again_is_found_by_the_providers_book_or_the_ledger(seen):
    charged = replace(seen, records=replace(seen.records, charges=(*seen.records.charges, SCENE)))
    assert held(second_round(seen, charged)) == [True, False, True, True]
    assert held(second_round(seen, replace(seen, spent_usd=Decimal("0.17")))) == [
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"made_in_shop": 3},
        {"files": (("media A default", "d.jpg"), ("other", "l.jpg"))},
        {"media": {"product A": ("media A luxury", "media A default")}},
    ],
)
def test_anything_new_in_the_shop_is_found(seen, change):
    again = replace(seen, records=replace(seen.records, **change))
    assert held(second_round(seen, again)) == [True, True, False, True]


def test_a_picture_that_was_made_again_or_anew_is_found(seen):
    later = {"masks/A/1.png": BEGAN + timedelta(seconds=1)}
    assert held(second_round(seen, replace(seen, pictures=later)))[3] is False
    more = {**seen.pictures, "masks/B/1.png": BEGAN}
    assert held(second_round(seen, replace(seen, pictures=more)))[3] is False
