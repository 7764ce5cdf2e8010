"""A shop at its limits: at each of them, and one over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.publishing.filenames import media_filename
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster.sandbox.shopify import mutations
from photopipe_dagster_tests.support.conformance.publishing import (
    ROUNDS,
    DiedError,
    Publisher,
    Stocked,
    photo,
)
from photopipe_dagster_tests.support.conformance.shopify import ShopifyFront
from photopipe_dagster_tests.support.ledgers import new_ledger

MEDIA_OF_A_PRODUCT = 250
LONGEST_SKU, LONGEST_THEME = 255, 64
FILE_NAME_CHARACTERS = 255


@pytest.fixture
def server() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(shopify_media_polls=0)) as server:
        yield server


@pytest.fixture
def shop(server: RunningSandbox, tmp_path: Path) -> Iterator[Publisher]:
    front = ShopifyFront(server)
    settings = front.settings.model_copy(update={"data_dir": tmp_path})
    new_ledger(tmp_path)
    ledger = Ledger.open(settings)
    yield Publisher(front, settings, ledger)
    ledger.close()


def fill(shop: Publisher, product: str, count: int) -> None:
    """Put the merchant's own pictures on a product until it has so many."""
    gallery = shop.front.gallery(product)
    gallery += [shop.front.add_picture() for _ in range(count - len(gallery))]


# --- media of a product ----------------------------------------------------------------------


@pytest.mark.parametrize("standing", [MEDIA_OF_A_PRODUCT - 1, MEDIA_OF_A_PRODUCT])
def test_on_a_full_product_a_new_picture_takes_the_place_of_ours(shop: Publisher, standing: int):
    stocked = Stocked.of(shop, "A")
    fill(shop, stocked.product, standing)
    first, old, *others = stocked.gallery
    new = shop.publish(stocked.key, "blue")
    assert stocked.gallery == [first, new, *others]
    assert shop.unpublish(stocked.key).restored == old
    assert stocked.gallery == [first, old, *others]


def test_the_last_place_of_a_product_is_taken_and_one_more_is_refused_in_words(shop: Publisher):
    product = shop.front.add_product("A")
    fill(shop, product, MEDIA_OF_A_PRODUCT - 1)
    assert shop.publish(photo("A"), "red") == shop.front.gallery(product)[-1]
    assert shop.publish(photo("A", "kitchen"), "blue") is None
    assert len(shop.front.gallery(product)) == MEDIA_OF_A_PRODUCT
    job = shop.ledger.jobs.require(photo("A", "kitchen").job_id)
    assert job.status is JobStatus.FAILED
    assert "at most 250 media" in job.error_message
    assert "photopipe retry" in job.error_message
    # Room is made, and a person says so: the file that was made is used.
    files = len(shop.front.files())
    del shop.front.gallery(product)[0]
    assert shop.publish(photo("A", "kitchen"), "blue") == shop.front.gallery(product)[-1]
    assert len(shop.front.files()) == files


def test_a_picture_that_cannot_be_added_to_a_full_product_leaves_ours_in_its_place(
    shop: Publisher, server: RunningSandbox, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(mutations._LIMITS, "max_media", full := 5)
    stocked = Stocked.of(shop, "A")
    fill(shop, stocked.product, full)
    before = list(stocked.gallery)
    # The first is refused because the product is full, the second takes ours off.
    server.state.faults.add(
        Fault(match="shopify.fileUpdate", kind="user_error", code="PRODUCT_SUSPENDED", skip=2)
    )
    assert shop.publish(stocked.key, "blue") is None
    assert stocked.gallery == before


@pytest.mark.parametrize("error", [DiedError, httpx.ReadError])
def test_wherever_replacing_on_a_full_product_ends_the_next_attempt_leaves_one_of_ours(
    shop: Publisher, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
):
    monkeypatch.setitem(mutations._LIMITS, "max_media", full := 5)
    for number in range(ROUNDS):
        stocked = Stocked.of(shop, f"A-{number}")
        fill(shop, stocked.product, full)
        own = set(stocked.gallery) - {stocked.old}
        with shop.cut_after(number, error) as steps:
            shop.publish(stocked.key, "blue")
        over = len(steps) <= number
        new = shop.publish(stocked.key, "blue")
        assert set(stocked.gallery) == own | {new}, steps
        assert len(stocked.gallery) == full
        if over:
            break
    else:
        pytest.fail("publishing takes too many steps")


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sku", ["A" * LONGEST_SKU, "é" * 42, "#" * 85, "a b/" * 25])
def test_the_longest_names_are_file_names_that_shopify_takes(sku: str):
    name = media_filename(sku, "f" * 64, "t" * LONGEST_THEME, 999_999_999, "0" * 64)
    assert len(name) <= FILE_NAME_CHARACTERS
