"""A shop that is not Shopify: a package brings it, and nothing above it changes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.doctor import examine
from photopipe_dagster.operations.reconciliation.findings import DiscrepancyKind
from photopipe_dagster.operations.reconciliation.reconciler import Reconciler
from photopipe_dagster.operations.reconciliation.report import Report
from photopipe_dagster.publishing.unpublish import unpublish
from photopipe_dagster.runtime.circuit_breaker import services_by_stage
from photopipe_dagster.runtime.configuration import check_configuration, variables
from photopipe_dagster.runtime.services import open_target
from photopipe_dagster.targets.base import Withdrawn
from photopipe_dagster.targets.registry import chosen_target, picture_limits, required_target
from photopipe_dagster_tests.support.plugins.services import KEY, Shop
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world


@pytest.fixture
def shop(outside: Path) -> Iterator[Shop]:
    shop = Shop()
    with shop.running():
        yield shop


@pytest.fixture
def corner(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world that publishes to Acme's shop."""
    here = {"ACME_SHOP_URL": shop.url, "ACME_SHOP_TOKEN": KEY, "SHOPIFY_STORE": ""}
    here |= {"RECONCILE_AFTER_SECONDS": "0", "BREAKER_FAILURES": "1"}
    with world(tmp_path, monkeypatch, **here) as made:
        check_configuration(made.settings)
        yield made
        assert made.sandbox.state.traffic.requests("shopify.graphql") == 0


def job_of(corner: World, key: PhotoKey) -> Job:
    return corner.ledger.jobs.require(key.job_id)


def published(corner: World, shop: Shop, sku: str = "A") -> tuple[PhotoKey, str]:
    """A photo that is DONE, and its product."""
    product = shop.add_product(f"Product {sku}", sku).id
    key = corner.announce(sku, photo_of_a_mug(len(shop.products)))
    assert corner.materialize([key]).success
    assert job_of(corner, key).status is JobStatus.DONE
    return key, product


def take_off(corner: World, key: PhotoKey) -> Withdrawn:
    async def run() -> Withdrawn:
        async with open_target(corner.settings) as target:
            return await unpublish(corner.settings, corner.ledger, target, key.job_id)

    return asyncio.run(run())


def reconcile(corner: World, *, repair: bool = False) -> Report:
    reconciler = Reconciler(corner.settings, corner.ledger, corner.store, corner.instance)
    return reconciler.run(repair=repair)


# --- the whole way -------------------------------------------------------------------------


def test_a_picture_is_published_replaced_and_taken_off(corner: World, shop: Shop):
    key, product = published(corner, shop)
    gallery = shop.products[product].gallery
    (first,) = gallery
    picture = shop.files[first]
    with Image.open(io.BytesIO(picture.data)) as image:
        assert max(image.size) <= 120  # as this shop wants it
    assert picture.alt.startswith("Product A")
    assert len(picture.alt) <= 60
    last = corner.ledger.steps.of_job(key.job_id)[-1]
    assert (last.stage, last.provider) == (Stage.SHOPIFY_MEDIA, "acme-shop")

    assert corner.materialize([key]).success  # once more is not twice
    assert (gallery, len(shop.files)) == ([first], 1)

    corner.ledger.reviews.another_background(key.job_id, by="a person")
    assert corner.materialize([key]).success
    assert gallery == [first]  # until the person has seen the other one
    corner.ledger.reviews.approve(key.job_id, by="a person")
    assert corner.materialize([key]).success
    (second,) = gallery

    done = take_off(corner, key)
    assert (done.taken, done.restored, done.lost) == ((second,), first, None)
    assert gallery == [first]


def test_what_no_product_has_is_not_paid_for(corner: World, shop: Shop):
    key = corner.announce("A", photo_of_a_mug(1))
    assert not corner.materialize([key]).success
    assert "0 products of the Acme shop have the SKU" in (job_of(corner, key).error_message or "")
    assert corner.charges() == []


def test_a_shop_that_says_it_is_closed_is_not_asked_again(corner: World, shop: Shop):
    shop.add_product("Product A", "A")
    shop.closed = True
    key = corner.announce("A", photo_of_a_mug(1))
    assert not corner.materialize([key]).success
    assert [breaker.name for breaker in corner.ledger.breakers.down()] == ["acme-shop"]
    health = httpx.get(f"{corner.api_url}/health").json()
    assert list(health["down"]) == ["acme-shop"]


# --- reconciling ---------------------------------------------------------------------------


def test_what_left_the_shop_is_found_and_put_on_a_new_product(corner: World, shop: Shop):
    off, product = published(corner, shop, "A")
    moved, gone = published(corner, shop, "B")
    assert reconcile(corner).findings == ()
    shop.products[product].gallery.clear()
    del shop.products[gone]
    successor = shop.add_product("Product B", "B")
    report = reconcile(corner, repair=True)
    assert {(each.kind, each.subject, each.repaired) for each in report.findings} == {
        (DiscrepancyKind.MEDIA_TAKEN_OFF, off.job_id, False),
        (DiscrepancyKind.PRODUCT_REPLACED, moved.job_id, True),
    }
    assert corner.materialize([moved]).success
    assert len(successor.gallery) == 1


# --- who tells of it -----------------------------------------------------------------------


def test_whoever_tells_of_shops_tells_of_this_one(corner: World):
    health = httpx.get(f"{corner.api_url}/health").json()
    assert health["targets"] == {"acme-shop": "connected", "shopify": "not configured"}
    assert health["shopify"] == "not configured"
    assert ("Acme Shop", True, "open for business") in [
        (finding.what, finding.ok, finding.says) for finding in examine(corner.settings)
    ]
    assert ("ACME_SHOP_URL", "Acme Shop") in [(each.name, each.section) for each in variables()]


def test_an_orchestrator_tells_its_ids(corner: World):
    key = corner.announce("A", photo_of_a_mug(1))
    url = f"{corner.api_url}/api/jobs/{key.job_id}/shopify"
    for media_id, status in (("gid://shopify/MediaImage/1", 422), ("f1", 409)):
        answer = httpx.post(url, json={"productId": "p1", "mediaId": media_id})
        assert answer.status_code == status  # 409: it is not its turn yet


# --- which shop ----------------------------------------------------------------------------


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)


ACME = {"acme_shop_url": "https://shop.example", "acme_shop_token": "token"}
BOTH = {**ACME, "shopify_store": "a.example", "shopify_access_token": "token"}


def test_the_only_shop_that_is_configured_is_chosen(shop: Shop):
    assert chosen_target(settings()) is None
    assert required_target(settings(**ACME)).name == "acme-shop"
    assert required_target(settings(shopify_store="a.example")).name == "shopify"
    with pytest.raises(
        ConfigurationError, match=r"set ACME_SHOP_URL and ACME_SHOP_TOKEN; or SHOPIFY_STORE, "
    ):
        required_target(settings())


def test_of_several_shops_one_is_named(shop: Shop):
    with pytest.raises(ConfigurationError, match="PUBLISH_TARGET to one of acme-shop, shopify"):
        check_configuration(settings(**BOTH))
    for name in ("acme-shop", "shopify"):
        named = settings(**BOTH, publish_target=name)
        check_configuration(named)
        assert services_by_stage(named)[Stage.SHOPIFY_MEDIA] == name
    with pytest.raises(ConfigurationError, match="'woo' in PUBLISH_TARGET"):
        check_configuration(settings(publish_target="woo"))


def test_a_shop_that_cannot_work_is_refused_at_once(shop: Shop):
    for given, variable in (
        ({"shopify_store": "a.example"}, "SHOPIFY_ACCESS_TOKEN"),
        ({"shopify_store": "a b", "shopify_access_token": "token"}, "SHOPIFY_STORE"),
        ({"publish_target": "shopify"}, "SHOPIFY_STORE"),
        ({"acme_shop_url": "https://shop.example"}, "ACME_SHOP_TOKEN"),
    ):
        with pytest.raises(ConfigurationError, match=variable):
            check_configuration(settings(**given))


def test_pictures_are_made_as_large_as_the_shop_takes_them(shop: Shop):
    assert picture_limits(settings(**ACME)).size.side == 120
    # Those that were made for no shop are good for Shopify: they are not made again.
    assert picture_limits(settings()) == picture_limits(settings(shopify_store="a.example"))
