"""The product is looked up before anything is paid, and what is known of it decides how it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import ErrorCode, NetworkError, ServiceDownError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.breakers import Breakers
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.pipeline.stages.quality import lies_with_a_table
from photopipe_dagster.publishing import product_lookup
from photopipe_dagster.publishing.flat_lay import FlatLay, flat_lay_of
from photopipe_dagster.runtime.services import open_services
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.shopify.records import Category
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.models import Product
from photopipe_dagster.targets.shopify import target
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.dispatching import move_clock
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

LOOK_UP = "shopify.productVariants"
BOUGHT = ["remove_background", "mystic"]

TEES = Category(
    "gid://shopify/TaxonomyCategory/aa-1-13-8",
    "Apparel & Accessories > Clothing > Clothing Tops > T-Shirts",
)

ARM_CHAIRS = Category(
    "gid://shopify/TaxonomyCategory/fr-7-1",
    "Furniture > Chairs > Arm Chairs, Recliners & Sleeper Chairs",
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path, monkeypatch, BREAKER_FAILURES="3", PHOTOS_IN_FLIGHT="1") as shop:
        yield shop


@pytest.fixture
def wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A shop whose photos go side by side."""
    with world(tmp_path, monkeypatch, BREAKER_FAILURES="3", PHOTOS_IN_FLIGHT="8") as shop:
        yield shop


def look_ups(shop: World) -> int:
    return shop.sandbox.state.traffic.requests(LOOK_UP)


def bought(shop: World) -> list[str]:
    return [charge.operation for charge in shop.sandbox.state.freepik.charges]


def fail(shop: World, match: str, status: int = 402, times: int | None = None) -> None:
    shop.sandbox.state.faults.add(Fault(match=match, kind="status", status=status, times=times))


def status(shop: World, key: PhotoKey) -> JobStatus:
    return shop.ledger.jobs.require(key.job_id).status


# --- no product, or several ----------------------------------------------------------------


def test_what_no_product_has_is_kept_but_nothing_is_bought_for_it(shop: World):
    key = shop.announce("A", photo_of_a_mug(1))
    result = shop.materialize([key])
    job = shop.ledger.jobs.require(key.job_id)
    assert (job.status, job.error_code, job.retry_at) == (
        JobStatus.FAILED,
        ErrorCode.SHOPIFY_ERROR,
        None,
    )
    assert job.error_message == (
        f"No product has the SKU 'A': create it in Shopify, then `photopipe retry {job.id}`."
    )
    assert (bought(shop), job.total_cost, look_ups(shop)) == ([], 0, 2)
    # Its link may be dead by the time that there is a product: the photo is here.
    assert shop.store.get(key.object_key(Stage.ORIGINAL)) is not None
    assert shop.materialized("original") == {key.partition_key}
    assert shop.materialized("mask") == shop.materialized("shopify_media") == set()
    # It is the publishing that cannot be, and that is said.
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "SHOPIFY_ERROR** at shopify_media" in str(failure.event_specific_data)
    steps = shop.ledger.steps.of_job(job.id)
    assert [(step.stage, step.error_code) for step in steps] == [
        (Stage.ORIGINAL, None),
        (Stage.SHOPIFY_MEDIA, ErrorCode.SHOPIFY_ERROR),
    ]

    shop.stock("A")
    shop.ledger.transitions.retry(job.id)
    assert shop.materialize([key]).success
    assert (bought(shop), shop.media(), look_ups(shop)) == (BOUGHT, 1, 3)


def test_photos_of_an_unknown_product_wait_for_one_answer_and_none_is_bought_for(shop: World):
    """In one hand after another: anyone who waits for the answer keeps none from the one who
    asks."""
    photo = photo_of_a_mug(1)
    keys = [shop.announce("A", photo, theme) for theme in ("default", "luxury", "minimal")]
    assert not shop.materialize(keys).success
    assert [status(shop, key) for key in keys] == [JobStatus.FAILED] * 3
    assert (bought(shop), shop.materialized("mask")) == ([], set())


def test_a_product_that_the_search_does_not_show_yet_is_looked_for_once_more(
    shop: World, monkeypatch: pytest.MonkeyPatch
):
    key = shop.announce("A", photo_of_a_mug(1))
    find = target.find_product

    async def find_and_stock(client: ShopifyClient, sku: str) -> tuple[Product, ...]:
        found = await find(client, sku)
        if not found:
            shop.stock(sku)
        return found

    monkeypatch.setattr(target, "find_product", find_and_stock)
    assert shop.materialize([key]).success
    assert (status(shop, key), look_ups(shop)) == (JobStatus.DONE, 2)


def test_what_several_products_have_is_not_bought_for_either(shop: World):
    shop.stock("A", "A")
    key = shop.announce("A", photo_of_a_mug(1))
    assert not shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert (job.error_code, job.retry_at) == (ErrorCode.SHOPIFY_ERROR, None)
    assert job.error_message.startswith("2 products have the SKU 'A': product-a (gid://")
    assert (bought(shop), look_ups(shop)) == ([], 1)


# --- how often it is asked -----------------------------------------------------------------


def test_a_photo_asks_once_for_its_product_and_so_do_its_themes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with world(tmp_path, monkeypatch) as shop:  # side by side
        shop.stock("A", "B")
        themes = ("default", "luxury", "kitchen")
        keys = [shop.announce("A", photo_of_a_mug(1), theme) for theme in themes]
        keys.append(shop.announce("B", photo_of_a_mug(2)))
        assert shop.materialize(keys).success
        assert (look_ups(shop), shop.media()) == (2, 4)
        requests = shop.sandbox.state.traffic.requests("shopify.graphql")
        # Look for the file, stage, create, poll, attach: as if nobody had looked ahead.
        assert requests <= 2 + 4 * 7
        # A run that publishes again asks again: at most once a photo.
        assert shop.materialize(keys).success
        assert 4 <= look_ups(shop) <= 2 + len(keys)


def test_a_sku_that_has_moved_takes_its_next_photo_to_its_new_product(shop: World):
    shop.stock("A")
    first = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([first]).success
    products = shop.sandbox.state.shopify.products
    (old,) = products.values()
    for variant in old.variants:
        variant.sku = "A-OLD"
    new = products[shop.sandbox.state.shopify.add_product("The new one", ["A"])]
    second = shop.announce("A", photo_of_a_mug(2))
    assert shop.materialize([second]).success
    assert (len(old.media_ids), len(new.media_ids)) == (1, 1)


def test_what_is_not_to_be_published_asks_nobody(shop: World):
    key = shop.announce("A", photo_of_a_mug(1))
    assert shop.materialize([key], ["original", "mask", "background", "composite"]).success
    assert (look_ups(shop), bought(shop)) == (0, BOUGHT)
    # Then it fails as before: what was bought is kept.
    assert not shop.materialize([key], ["shopify_media"]).success
    assert "No product has the SKU" in shop.ledger.jobs.require(key.job_id).error_message
    assert look_ups(shop) == 1


# --- a shop that does not answer -----------------------------------------------------------


def test_a_shop_that_answers_at_last_stops_nothing(shop: World):
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    fail(shop, "shopify.graphql", 503, times=3)
    assert shop.materialize([key]).success
    assert (status(shop, key), bought(shop), shop.media()) == (JobStatus.DONE, BOUGHT, 1)
    assert shop.ledger.jobs.require(key.job_id).retry_count == 0
    assert shop.ledger.breakers.get("shopify").failures == 0


@pytest.mark.parametrize(
    ("match", "code"), [("shopify.graphql", 402), ("shopify.graphql", 403), (LOOK_UP, 423)]
)
def test_nothing_is_bought_for_a_shop_that_refuses(wide: World, match: str, code: int):
    wide.stock(*"ABCDE")
    keys = [wide.announce(sku, photo_of_a_mug(n)) for n, sku in enumerate("ABCDE")]
    fail(wide, match, code)
    assert not wide.materialize(keys).success
    assert bought(wide) == []
    jobs = [wide.ledger.jobs.require(key.job_id) for key in keys]
    assert {(job.waiting_for, job.retry_count) for job in jobs} == {("shopify", 0)}
    assert wide.sandbox.state.traffic.requests(match) == 1  # the others were told

    wide.sandbox.state.faults.clear()
    move_clock(wide.ledger, 61)
    assert wide.materialize(keys).success
    assert (len(bought(wide)), wide.media()) == (2 * len(keys), len(keys))


def test_a_scope_that_is_missing_is_found_before_anything_is_bought(wide: World):
    wide.stock("A", "B")
    keys = [wide.announce(sku, photo_of_a_mug(n)) for n, sku in enumerate("AB")]
    wide.sandbox.state.shopify.scopes -= {"write_files"}
    assert not wide.materialize(keys).success
    assert bought(wide) == []
    assert "write_files" in wide.ledger.jobs.require(keys[0].job_id).error_message
    assert [breaker.name for breaker in wide.ledger.breakers.down()] == ["shopify"]


def test_one_photo_is_bought_for_a_shop_that_refuses_only_the_picture(wide: World):
    wide.stock(*"ABCDE")
    keys = [wide.announce(sku, photo_of_a_mug(n)) for n, sku in enumerate("ABCDE")]
    fail(wide, "shopify.fileCreate", 403)
    assert not wide.materialize(keys).success
    assert bought(wide) == BOUGHT

    # The one that tries it again has its pictures already.
    move_clock(wide.ledger, 61)
    paid = [key for key in keys if wide.ledger.jobs.require(key.job_id).total_cost]
    assert not wide.materialize(paid).success
    assert bought(wide) == BOUGHT
    wide.sandbox.state.faults.clear()
    move_clock(wide.ledger, 121)
    assert wide.materialize(keys).success
    assert (len(bought(wide)), wide.media()) == (2 * len(keys), len(keys))


def test_one_photo_goes_first_again_after_a_quarter_of_an_hour_without_a_success(wide: World):
    wide.stock(*"ABCDE")
    keys = [wide.announce(sku, photo_of_a_mug(n)) for n, sku in enumerate("ABCDE")]
    assert wide.materialize(keys[:1]).success
    move_clock(wide.ledger, 15 * 60 + 1)
    fail(wide, "shopify.fileCreate", 500)
    assert not wide.materialize(keys[1:]).success
    # A failure that may pass: three of them, one photo after another, open the breaker.
    assert bought(wide) == (1 + 3) * BOUGHT


def test_a_shop_that_hangs_is_asked_later(shop: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(product_lookup, "PATIENCE_SECONDS", 0.05)
    shop.stock("A")
    key = shop.announce("A", photo_of_a_mug(1))
    shop.sandbox.state.traffic.set_latencies({LOOK_UP: 0.5})
    assert not shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert (job.error_code, job.retry_at is not None) == (ErrorCode.NETWORK_ERROR, True)
    assert bought(shop) == []


def test_a_shop_that_is_known_to_be_down_is_not_asked(shop: World):
    shop.stock("A", "B")
    keys = [shop.announce("A", photo_of_a_mug(1)), shop.announce("B", photo_of_a_mug(2))]
    with shop.ledger.database.write() as connection:
        for _ in range(3):
            shop.ledger.breakers.failed(connection, "shopify", "frozen")
    assert not shop.materialize(keys[:1]).success
    assert (look_ups(shop), bought(shop)) == (0, [])
    waiting = shop.ledger.jobs.require(keys[0].job_id)
    assert (waiting.waiting_for, waiting.retry_count) == ("shopify", 0)

    # The probe is the call that publishes: it alone shows that the shop works.
    move_clock(shop.ledger, 61)
    assert shop.materialize(keys).success
    assert shop.ledger.breakers.down() == []
    assert shop.media() == 2


def test_a_shop_that_knows_its_products_and_takes_no_pictures_is_found_out(shop: World):
    shop.stock("A", "B", "C", "D")
    keys = [shop.announce(sku, photo_of_a_mug(n)) for n, sku in enumerate("ABCD")]
    fail(shop, "shopify.fileCreate")
    assert not shop.materialize(keys).success
    assert shop.sandbox.state.traffic.requests("shopify.fileCreate") == 1
    assert [breaker.failures for breaker in shop.ledger.breakers.down()] == [3]


async def test_an_answer_shows_nothing_and_none_is_a_failure(shop: World):
    breakers: Breakers = shop.ledger.breakers
    async with open_services(shop.settings) as services:
        with shop.ledger.database.write() as connection:
            breakers.failed(connection, "shopify", "broken")
        async with services.asking_target():
            pass
        assert breakers.get("shopify").failures == 1
        with pytest.raises(NetworkError) as raised:
            async with services.asking_target():
                raise NetworkError("no answer")
        assert raised.value.blamed_service == "shopify"  # counted when the photo fails with it
        with shop.ledger.database.write() as connection:
            for _ in range(2):
                breakers.failed(connection, "shopify", "broken")
        with pytest.raises(ServiceDownError, match="broken"):
            async with services.asking_target():
                raise AssertionError("asked")

        # The probe is due: a question may be asked, and puts it off where it fails.
        move_clock(shop.ledger, 61)
        async with services.asking_target():
            pass
        assert breakers.get("shopify").is_open
        with pytest.raises(NetworkError):
            async with services.asking_target():
                raise NetworkError("no answer")
        assert breakers.get("shopify").failures == 4
        with pytest.raises(ServiceDownError, match="no answer"):
            async with services.asking_target():
                raise AssertionError("asked")


# --- what lies -----------------------------------------------------------------------------


def known(**facts: str | None) -> product_lookup.KnownProduct:
    now = product_lookup.PRODUCT_TRUSTED_FOR  # any value: age does not matter here
    return product_lookup.KnownProduct("A", "gid://1", "a", facts.pop("title", None), now, **facts)


def test_a_persons_word_goes_before_the_shops():
    tee = known(category_id=TEES.id, category=TEES.full_name)
    mug = known(title="Mug")

    def asked(
        named: product_lookup.KnownProduct | None, **environment: str
    ) -> tuple[str, bool] | None:
        found = flat_lay_of(Settings(_env_file=None, **environment), "A", named)
        return None if found is None else (found.reason, found.set_by_person)

    assert asked(tee) == (f"its category is {TEES.full_name}", False)
    assert asked(known(title="Tee")) == ("its title is Tee", False)
    assert asked(mug) is None
    assert asked(None) is None
    assert asked(tee, upright_skus="A") is None
    for named in (tee, mug, None):
        assert asked(named, flat_lay_skus="A") == ("FLAT_LAY_SKUS names it", True)
        assert asked(named, flat_lay_skus="A", upright_skus="A") == ("FLAT_LAY_SKUS names it", True)


@pytest.mark.parametrize("pose", ["hovers", "loose"])
def test_what_is_known_to_lie_is_doubted_with_a_table_and_nowhere_else(pose: str):
    told, said = (
        FlatLay("its title is Tee", set_by_person=False),
        FlatLay("FLAT_LAY_SKUS names it", set_by_person=True),
    )
    doubted = {name for name, theme in THEMES.items() if lies_with_a_table(theme, pose, told)}
    assert doubted == {"kitchen", "outdoors", "luxury"}
    kitchen = THEMES["kitchen"]
    assert lies_with_a_table(kitchen, pose, told) == "its title is Tee"
    assert lies_with_a_table(kitchen, pose, said) is None
    assert lies_with_a_table(kitchen, pose, None) is None
    assert lies_with_a_table(kitchen, None, told) is None  # it was made outside


def facts(shop: World, key: PhotoKey) -> dict[str, str]:
    return dict(shop.store.head(key.object_key(Stage.COMPOSITE)).metadata)


def stock_tee(shop: World, sku: str = "TEE") -> str:
    return shop.sandbox.state.shopify.add_product("Van", [sku], category=TEES)


def test_a_garment_lies_on_paper_and_is_held_over_a_table(shop: World):
    stock_tee(shop)
    themes = ("default", "minimal", "shopify-square", "kitchen", "luxury")
    photo = photo_of_a_mug(1, 960)
    keys = {theme: shop.announce("TEE", photo, theme) for theme in themes}
    result = shop.materialize(list(keys.values()))
    assert result.success
    poses = {theme: facts(shop, key)["pose"] for theme, key in keys.items()}
    assert poses == {
        "default": "lies",
        "minimal": "lies",
        "shopify-square": "lies",
        "kitchen": "hovers",
        "luxury": "hovers",
    }
    for theme, key in keys.items():
        job = shop.ledger.jobs.require(key.job_id)
        if poses[theme] == "lies":
            assert job.status is JobStatus.DONE
            continue
        assert (job.status, job.review) == (JobStatus.SHOPIFY_PUSH, Review.WAITING)
        (reason,) = job.review_reasons
        assert "lies or hangs in its photo (its category is Apparel & Accessories" in reason
        assert "choose a plain theme such as default or minimal" in reason
    shown = {
        event.step_materialization_data.materialization.metadata["lies"].value
        for event in result.all_events
        if event.event_type_value == "ASSET_MATERIALIZATION"
        and event.asset_key.path[-1] == "composite"
    }
    assert shown == {f"its category is {TEES.full_name}"}
    # A person decides.
    kitchen = keys["kitchen"]
    shop.ledger.reviews.approve(kitchen.job_id, by="Ann")
    assert shop.materialize([kitchen]).success
    assert status(shop, kitchen) is JobStatus.DONE


def test_a_garment_that_is_named_hovers_without_asking_and_is_not_made_again(
    shop: World, monkeypatch: pytest.MonkeyPatch
):
    stock_tee(shop)
    key = shop.announce("TEE", photo_of_a_mug(1), "kitchen")
    shop.materialize([key])
    made = facts(shop, key)
    assert status(shop, key) is JobStatus.SHOPIFY_PUSH
    monkeypatch.setenv("FLAT_LAY_SKUS", "TEE*")
    assert shop.materialize([key]).success
    assert status(shop, key) is JobStatus.DONE
    assert facts(shop, key) == made


def test_a_garment_that_stands_is_named(shop: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UPRIGHT_SKUS", "TEE*")
    stock_tee(shop)
    key = shop.announce("TEE", photo_of_a_mug(1), "kitchen")
    assert shop.materialize([key]).success
    assert (status(shop, key), facts(shop, key)["pose"]) == (JobStatus.DONE, "stands")


def test_nothing_is_bought_unasked_for_what_is_too_large_for_a_counter(shop: World):
    shop.sandbox.state.shopify.add_product("Oslo", ["CHAIR"], category=ARM_CHAIRS)
    counter = shop.announce("CHAIR", photo_of_a_mug(1), "kitchen")
    assert shop.materialize([counter]).success
    job = shop.ledger.jobs.require(counter.job_id)
    assert (job.status, job.review) == (JobStatus.BG_GENERATING, Review.WAITING)
    (reason,) = job.review_reasons
    assert "size in life is large (should be small). It would look like a toy" in reason
    assert ARM_CHAIRS.full_name in reason
    assert "No background is bought yet" in reason
    assert bought(shop) == ["remove_background"]

    # A person has it made anyway, and sees the picture before it is published.
    shop.ledger.reviews.approve(counter.job_id, by="Ann")
    (dispatch,) = shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert dispatch.keys == (counter,)
    assert shop.materialize([counter]).success
    job = shop.ledger.jobs.require(counter.job_id)
    assert (job.status, job.review) == (JobStatus.SHOPIFY_PUSH, Review.WAITING)
    assert (bought(shop), shop.media()) == (BOUGHT, 0)
    assert "approve to have the picture made" not in " ".join(job.review_reasons)


def test_in_another_language_and_without_a_category_its_outline_tells(shop: World):
    shop.sandbox.state.shopify.add_product("Baumwollhemd mit Streifen", ["HEMD"])
    key = shop.announce("HEMD", photo_of_a_mug(1), "kitchen")
    assert shop.materialize([key]).success
    assert (status(shop, key), facts(shop, key)["pose"]) == (JobStatus.DONE, "stands")


def test_what_is_learnt_of_a_product_makes_its_picture_anew_and_replaces_it(shop: World):
    gid = shop.sandbox.state.shopify.add_product("Van", ["TEE"])
    key = shop.announce("TEE", photo_of_a_mug(1), "minimal")
    assert shop.materialize([key]).success
    assert facts(shop, key)["pose"] == "stands"
    record = shop.sandbox.state.shopify.products[gid]
    (before,) = record.media_ids
    record.category = TEES
    move_clock(shop.ledger, 3601)
    assert shop.materialize([key]).success
    assert facts(shop, key)["pose"] == "lies"
    (after,) = record.media_ids
    assert after != before
    assert bought(shop) == BOUGHT


def test_a_garment_that_was_not_known_to_be_one_is_not_published_standing(shop: World):
    stock_tee(shop)
    key = shop.announce("TEE", photo_of_a_mug(1), "kitchen")
    assert shop.materialize([key], ["original", "mask", "background", "composite"]).success
    assert facts(shop, key)["pose"] == "stands"

    # The shop says it to the very call that would have published the picture.
    assert not shop.materialize([key], ["shopify_media"]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert (job.error_code, job.retry_at is None) == (ErrorCode.COMPOSITE_ERROR, False)
    assert "lies or hangs in its photo (its category is Apparel" in job.error_message
    assert shop.media() == 0

    assert shop.materialize([key]).success
    job = shop.ledger.jobs.require(key.job_id)
    assert (facts(shop, key)["pose"], job.review) == ("hovers", Review.WAITING)
    assert (bought(shop), look_ups(shop), shop.media()) == (BOUGHT, 1, 0)


def test_without_publishing_and_without_a_shop_what_is_remembered_counts(shop: World):
    stock_tee(shop)
    first = shop.announce("TEE", photo_of_a_mug(1), "default")
    assert shop.materialize([first]).success
    move_clock(shop.ledger, 40 * 24 * 3600)
    asked = look_ups(shop)
    alone = shop.announce("TEE", photo_of_a_mug(1), "minimal")
    assert shop.materialize([alone], ["original", "mask", "background", "composite"]).success
    assert (facts(shop, alone)["pose"], look_ups(shop)) == ("lies", asked)
