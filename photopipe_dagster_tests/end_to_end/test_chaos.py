"""A worker that is killed in the middle of things: the short form of `benchmarks.chaos`."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from benchmarks import chaos
from benchmarks.chaos import WORKER_SECONDS, How, Kill, Shop, Trial
from benchmarks.chaos_books import compare
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import SpendState

ONCE = Decimal("0.19")
"""USD: two cut-outs and three backgrounds."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with chaos.shop() as shop:
        yield shop


def killed(shop: Shop, *points: str, **how: bool) -> chaos.Result:
    """Kill one worker after another, each at one point, and see that it was there."""
    result = shop.attempt(Trial("test", tuple(Kill(point) for point in points), **how))
    assert result.died == list(points)
    assert result.workers > len(points)
    assert result.verdict.sound, result.verdict
    return result


def test_when_an_answer_is_lost_the_ledger_owns_up_to_what_may_have_been_paid(shop: Shop):
    verdict = killed(
        shop, "freepik.remove_background: during", "freepik.mystic.create: answered"
    ).verdict
    # The background was certainly paid; the cut-out too, unless it died before it had sent.
    assert verdict.unknown >= 2
    assert verdict.unknown_paid >= 1
    assert verdict.counted >= verdict.bill == verdict.resolved >= ONCE + Decimal("0.05")


def test_what_was_stored_or_published_before_the_kill_is_not_made_again(shop: Shop):
    # Settling comes after storing; a created file is found again by its name.
    verdict = killed(shop, "ledger settle charged: before", "shopify.fileCreate: answered").verdict
    # Another purchase of the same moment may have been in the air: nothing else is unknown.
    assert verdict.bill <= ONCE + verdict.unknown_paid * Decimal("0.05")


def test_a_kill_around_the_look_up_of_a_product_costs_and_loses_nothing(shop: Shop):
    # Both are passed before anything is bought for that photo; the other photo may be ahead.
    verdict = killed(
        shop, "shopify.productVariants: answered", "ledger remember_product: after"
    ).verdict
    assert verdict.bill <= ONCE + verdict.unknown_paid * Decimal("0.05")


def test_the_look_up_is_among_the_points_and_comes_before_what_is_paid(shop: Shop):
    passed = list(shop.census(dagster=False))
    assert {
        f"shopify.productVariants: {when}" for when in ("before", "during", "answered", "read")
    } <= {*passed}
    assert passed.index("ledger remember_product: before") < passed.index("ledger reserve: after")
    assert passed.index("shopify.productVariants: read") < passed.index("stage mask: begins")


def test_a_media_whose_attaching_was_not_confirmed_stands_on_its_product_once(shop: Shop):
    verdict = killed(shop, "shopify.fileUpdate: during").verdict
    assert (verdict.duplicates, verdict.lost) == (0, 0)


def test_dagster_is_told_of_runs_that_died_at_their_beginning_and_at_their_end(shop: Shop):
    result = shop.attempt(
        Trial(
            "test",
            (Kill("ledger take: before"), Kill("ledger advance to DONE: after", 3)),
            dagster=True,
        )
    )
    assert result.died == ["ledger take: before", "ledger advance to DONE: after"]
    assert result.verdict.sound, result.verdict
    assert (result.not_shown, result.unfinished) == (0, 0)
    assert result.verdict.bill == ONCE


@pytest.mark.parametrize(
    ("point", "wakes"),
    [("freepik.remove_background: answered", WORKER_SECONDS), ("shopify.fileUpdate: before", 0.3)],
)
def test_a_worker_that_stood_still_for_longer_than_its_lease_harms_nothing_when_it_wakes(
    shop: Shop, point: str, wakes: float
):
    result = shop.attempt(Trial("test", (Kill(point, how=How.STOP),), wakes=wakes))
    assert (result.died, result.verdict.sound) == ([point], True), result.verdict


@pytest.mark.parametrize("seconds", chaos.JUMPS)
def test_a_clock_that_jumps_costs_and_loses_nothing(shop: Shop, seconds: float):
    point = "freepik.mystic.create: answered"
    jump = Kill(point, how=How.CLOCK, seconds=seconds)
    result = shop.attempt(Trial("test", (jump,)))
    assert (result.died, result.verdict.sound) == ([point], True), result.verdict
    assert result.verdict.bill == ONCE


@pytest.mark.parametrize("service", [How.API, How.PROVIDER])
def test_a_service_that_is_killed_and_started_anew_is_asked_again(shop: Shop, service: How):
    point = "freepik.remove_background: before"
    result = shop.attempt(Trial("test", (Kill(point, how=service),)))
    assert (result.died, result.verdict.sound) == ([point], True), result.verdict


def test_every_point_gets_its_turn_before_any_gets_a_second():
    points = Counter({f"ledger write {n}: before": 4 for n in range(30)})
    planned = chaos.plan(points, Counter({"run: begins": 1}), 96, random.Random(0))
    assert len(planned) in range(90, 97)
    at_points = [trial.kills[0] for trial in planned if trial.kind == "at a point"]
    assert {kill.point for kill in at_points[:30]} == set(points)
    assert len(set(at_points)) == len(at_points)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Any]:
    """A ledger with one photo that is DONE, and simulators whose books agree with it."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.database.migrate()
    key = PhotoKey("A", "0" * 64, "default")
    job = ledger.intake.submit(key, "submit").job
    for stage, usd in ((Stage.MASK, "0.02"), (Stage.BACKGROUND, "0.05")):
        bought = {"provider": "freepik", "amount": Decimal(usd), "owner": "me"}
        spend = ledger.spending.reserve(stage.value, key=key, stage=stage, **bought)
        ledger.spending.settle(spend.id, SpendState.CHARGED)
    stored = {}
    for stage in (Stage.ORIGINAL, Stage.MASK, Stage.BACKGROUND, Stage.COMPOSITE):
        name = key.object_key(stage)
        info = SimpleNamespace(metadata={"sha256": hashlib.sha256(b"x").hexdigest()})
        stored[name] = SimpleNamespace(info=info, data=b"x")
        ledger.transitions.advance(job.id, JobStatus.SEGMENTING, stored=(stage, name))
    ledger.transitions.advance(job.id, JobStatus.DONE, published=("product", "media"))
    file = {"id": "media", "filename": "a.jpg", "status": "READY"}
    answers: dict[str, Any] = {
        "charges": {
            "total_usd": "0.07",
            "charges": [{"operation": "remove_background"}, {"operation": "mystic"}],
        },
        "shopify/files": [file],
        "shopify/products": [{"variants": [{"sku": "A"}], "media": [file]}],
    }

    def judged() -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json=answers[request.url.path.removeprefix("/_sandbox/")])

        store: Any = SimpleNamespace(get=stored.get)
        with httpx.Client(
            transport=httpx.MockTransport(answer), base_url="http://sandbox"
        ) as client:
            return compare(
                client,
                ledger,
                store,
                [key],
                in_the_air=Counter(),
                allow_discarded=False,
                clock_ahead=0.0,
            )

    yield SimpleNamespace(answers=answers, stored=stored, ledger=ledger, judged=judged)
    ledger.close()


def test_books_that_agree_are_sound(books: Any):
    assert books.judged().sound


def test_a_charge_that_the_ledger_does_not_know_is_seen(books: Any):
    books.answers["charges"]["charges"].append({"operation": "mystic"})
    books.answers["charges"]["total_usd"] = "0.12"
    verdict = books.judged()
    assert (verdict.double_charges, verdict.sound) == (1, False)


def test_a_second_media_is_seen(books: Any):
    second = {"id": "other", "filename": "a_1.jpg", "status": "READY"}
    books.answers["shopify/files"].append(second)
    books.answers["shopify/products"][0]["media"].append(second)
    verdict = books.judged()
    assert (verdict.duplicates, verdict.sound) == (1, False)


def test_a_torn_picture_a_held_claim_and_an_open_purchase_are_seen(books: Any):
    next(iter(books.stored.values())).data = b"half"
    books.ledger.leases.take(["job:x"], "nobody")
    spend = books.ledger.spending.reserve(
        "again",
        key=PhotoKey("A", "0" * 64, "default"),
        stage=Stage.MASK,
        provider="freepik",
        amount=Decimal("0.02"),
        owner="me",
    )
    wrong = " / ".join(books.judged().wrong)
    assert "not what its metadata says" in wrong
    assert "leases are still held" in wrong
    assert "still open" in wrong
    books.ledger.spending.settle(spend.id, SpendState.UNKNOWN)
    assert "1 purchases of mask are unknown; 0 were in the air" in " / ".join(books.judged().wrong)
