"""What is bought of one photo is bought once, however many SKUs it comes under."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.publishing.unpublish import unpublish
from photopipe_dagster.runtime.services import open_target
from photopipe_dagster.targets.base import Withdrawn
from photopipe_dagster_tests.support.processes import run_range, start
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

SKUS = ("A", "B", "C")

ONCE = Decimal("0.07")
"""USD: a cut-out and a background."""

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What the ledger is asked there, another test asks it in both databases."""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[World]:
    with world(tmp_path, monkeypatch, DATABASE_URL=database_url, JOB_LEASE_SECONDS="10") as shop:
        shop.stock(*SKUS)
        yield shop


def announced(shop: World, skus: Sequence[str] = SKUS) -> list[PhotoKey]:
    """One photo, under several SKUs."""
    return [shop.announce(sku, photo_of_a_mug(1)) for sku in skus]


def bought(shop: World) -> Counter[str]:
    return Counter(charge.operation for charge in shop.sandbox.state.freepik.charges)


def states(shop: World, key: PhotoKey) -> dict[Stage, SpendState]:
    return {spend.stage: spend.state for spend in shop.ledger.spending.of_job(key.job_id)}


def assert_sound(shop: World, keys: Sequence[PhotoKey]) -> None:
    """Each photo has pictures under its own keys, and the shop paid once."""
    for key in keys:
        job = shop.ledger.jobs.require(key.job_id)
        assert job.status is JobStatus.DONE
        for stage in (Stage.MASK, Stage.BACKGROUND, Stage.COMPOSITE):
            assert shop.store.head(key.object_key(stage)) is not None
    assert shop.ledger.spending.total() == ONCE
    payers = Counter(state for key in keys for state in states(shop, key).values())
    assert payers == {SpendState.CHARGED: 2, SpendState.SHARED: 2 * len(keys) - 2}
    costs = [shop.ledger.jobs.require(key.job_id).total_cost for key in keys]
    assert sum(costs) == ONCE


def test_one_photo_under_three_skus_is_bought_once_in_one_run(shop: World):
    keys = announced(shop)
    assert shop.materialize(keys).success
    assert bought(shop) == {"remove_background": 1, "mystic": 1}
    assert_sound(shop, keys)


@ON_SQLITE
def test_photos_that_wait_for_each_others_purchase_leave_their_places(
    shop: World, monkeypatch: pytest.MonkeyPatch
):
    """One place for all: the one that buys gives it up meanwhile, and must come back to it."""
    monkeypatch.setenv("PHOTOS_IN_FLIGHT", "1")
    keys = announced(shop)
    assert shop.materialize(keys).success
    assert_sound(shop, keys)


def test_a_photo_that_comes_later_under_another_sku_costs_nothing(shop: World):
    """Also where the pictures of the one that paid have left the store: a copy serves."""
    first, second, third = announced(shop)
    assert shop.materialize([first]).success
    assert shop.materialize([second]).success
    assert_sound(shop, [first, second])
    rows = shop.ledger.spending.of_job(second.job_id)
    assert {row.note for row in rows} == {f"Bought once, for job {first.job_id}."}
    for stage in (Stage.MASK, Stage.BACKGROUND):
        one, other = (shop.store.get(key.object_key(stage)) for key in (first, second))
        assert one.data == other.data
        assert one.info.metadata == other.info.metadata
        shop.store.delete(first.object_key(stage))
    assert shop.materialize([third]).success
    assert bought(shop) == {"remove_background": 1, "mystic": 1}


@ON_SQLITE
def test_it_is_bought_again_where_all_copies_have_left_the_store(shop: World):
    first, second = announced(shop, "AB")
    assert shop.materialize([first]).success
    for stage in (Stage.MASK, Stage.BACKGROUND):
        shop.store.delete(first.object_key(stage))
    assert shop.materialize([second]).success
    assert states(shop, second) == {
        Stage.MASK: SpendState.CHARGED,
        Stage.BACKGROUND: SpendState.CHARGED,
    }


def test_processes_that_take_it_up_at_once_buy_it_once(shop: World, tmp_path: Path):
    keys = announced(shop)
    shop.instance.add_dynamic_partitions("photos", [key.partition_key for key in keys])
    log = tmp_path / "log"
    processes = [start(log, run_range, key.partition_key, key.partition_key) for key in keys]
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0] * len(keys), log.read_text()
    assert bought(shop) == {"remove_background": 1, "mystic": 1}
    assert_sound(shop, keys)


@pytest.mark.parametrize(
    ("database_url", "stage"),
    [("sqlite", Stage.MASK), ("postgres", Stage.BACKGROUND)],
    indirect=["database_url"],
)
def test_what_a_killed_process_was_buying_is_not_paid_twice(
    shop: World, tmp_path: Path, stage: Stage
):
    """It dies with the purchase open; another SKU goes on where it stood, and it retries later."""
    first, second = keys = announced(shop, "AB")
    shop.instance.add_dynamic_partitions("photos", [key.partition_key for key in keys])
    process = start(tmp_path / "log", run_range, first.partition_key, first.partition_key)
    spending = shop.ledger.spending
    deadline = time.monotonic() + 240
    while states(shop, first).get(stage) not in (SpendState.SUBMITTED, SpendState.CHARGED):
        assert process.is_alive(), (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    assert shop.materialize([second]).success
    assert shop.ledger.jobs.require(second.job_id).status is JobStatus.DONE
    assert shop.materialize([first]).success
    assert shop.ledger.jobs.require(first.job_id).status is JobStatus.DONE
    rows = [row for key in keys for row in spending.of_job(key.job_id)]
    unknown = sum(row.state is SpendState.UNKNOWN for row in rows)
    paid = Counter(row.stage for row in rows if row.state is SpendState.CHARGED)
    assert paid == {Stage.MASK: 1, Stage.BACKGROUND: 1}
    assert sum(bought(shop).values()) <= 2 + unknown
    assert not spending.lost()[1]


# --- one picture on a product ------------------------------------------------------------


def variants(shop: World, *skus: str) -> None:
    """SKUs of one product."""
    shop.sandbox.state.shopify.add_product("Mug", skus=list(skus))


@pytest.fixture
def one_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> Iterator[World]:
    with world(tmp_path, monkeypatch, DATABASE_URL=database_url) as shop:
        variants(shop, *SKUS)
        yield shop


def test_variants_with_the_same_photo_and_theme_get_one_picture(one_product: World):
    keys = announced(one_product)
    assert one_product.materialize(keys).success
    assert one_product.media() == 1
    jobs = [one_product.ledger.jobs.require(key.job_id) for key in keys]
    assert {job.status for job in jobs} == {JobStatus.DONE}
    assert len({(job.product_id, job.media_id) for job in jobs}) == 1
    assert one_product.materialize(keys).success
    assert one_product.media() == 1


@ON_SQLITE
def test_another_photo_or_theme_of_the_product_is_another_picture(one_product: World):
    keys = [
        one_product.announce("A", photo_of_a_mug(1)),
        one_product.announce("B", photo_of_a_mug(2)),
        one_product.announce("C", photo_of_a_mug(1), "luxury"),
    ]
    assert one_product.materialize(keys).success
    assert one_product.media() == 3


@ON_SQLITE
def test_a_setting_gives_each_variant_a_picture_of_its_own(
    one_product: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAME_PHOTO_ONCE", "false")
    assert one_product.materialize(announced(one_product)).success
    assert one_product.media() == 3
    assert sum(bought(one_product).values()) == 2


@ON_SQLITE
def test_a_picture_that_was_taken_off_is_not_shared(one_product: World):
    first, second = announced(one_product, "AB")
    assert one_product.materialize([first]).success
    (product,) = one_product.sandbox.state.shopify.products.values()
    product.media_ids.clear()
    assert one_product.materialize([second]).success
    one, other = (one_product.ledger.jobs.require(key.job_id) for key in (first, second))
    assert one.media_id != other.media_id
    assert one_product.media() == 1


def test_a_shared_picture_is_taken_off_by_the_job_that_put_it_there(
    one_product: World,
):
    first, second = announced(one_product, "AB")
    assert one_product.materialize([first]).success
    assert one_product.materialize([second]).success
    ledger, settings = one_product.ledger, one_product.settings

    async def take_off(key: PhotoKey) -> Withdrawn:
        async with open_target(settings) as target:
            return await unpublish(settings, ledger, target, key.job_id)

    with pytest.raises(PhotopipeError, match=f"unpublish {first.job_id}"):
        asyncio.run(take_off(second))
    assert one_product.media() == 1
    assert len(asyncio.run(take_off(first)).taken) == 1
    assert one_product.media() == 0
    assert {ledger.jobs.require(key.job_id).media_id for key in (first, second)} == {None}
