"""The same client over real HTTP against the strict simulator of Shopify."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from photopipe_dagster.core.errors import NetworkError, TargetError
from photopipe_dagster.publishing.filenames import media_filename
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster.shopify.access import missing_scopes
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.models import Product
from photopipe_dagster.shopify.product_media import media_of
from photopipe_dagster.shopify.products import choose_product, find_product
from photopipe_dagster.shopify.settings import ShopifySettings
from photopipe_dagster.targets.base import Publication, PublishedMedia
from photopipe_dagster.targets.shopify.target import ShopifyTarget
from photopipe_dagster_tests.unit.shopify.scripted import Book, jpeg

SKU = "VWS_ITEM_#2 (750ML): red"
NAME = media_filename(SKU, "ab" * 32, "kitchen", 1, "0123456789abcdef")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig()) as running:
        yield running


@pytest.fixture
def sandbox(server: RunningSandbox) -> RunningSandbox:
    server.state.reset()
    return server


def client_of(sandbox: RunningSandbox, **settings: object) -> ShopifyClient:
    """A client whose waiting moves the sandbox's clock instead of taking time."""

    async def sleep(seconds: float) -> None:
        sandbox.state.clock.advance(seconds)

    given = {
        "shopify_store": sandbox.shopify_url,
        "shopify_access_token": sandbox.config.shopify_token,
        "shopify_ready_timeout_seconds": 30.0,
        "shopify_poll_seconds": 0.5,
    }
    return ShopifyClient(
        ShopifySettings(_env_file=None, **(given | settings)),
        sleep=sleep,
        clock=sandbox.state.clock.timestamp,
    )


async def product_of(client: ShopifyClient, sku: str = SKU) -> Product:
    return choose_product(sku, await find_product(client, sku))


async def put(
    client: ShopifyClient,
    product: Product,
    book: Book | None = None,
    name: str = NAME,
    **changes: object,
) -> PublishedMedia:
    picture = Publication(product.id, name, jpeg(), alt="Red wine in a kitchen")
    target = ShopifyTarget(client)
    return await target.publish(replace(picture, **changes), book or Book())


async def test_a_picture_gets_on_its_product(sandbox: RunningSandbox) -> None:
    sandbox.state.shopify.add_product("Red wine", [SKU])
    async with client_of(sandbox) as client:
        product = await product_of(client)
        book = Book()
        published = await put(client, product, book)
        listed = await media_of(client, product.id)
    assert [item.id for item in listed] == [published.media_id]
    assert listed[0].alt == "Red wine in a kitchen"
    assert book.kept == [published.media_id]
    assert published.url.endswith(NAME)
    assert not published.reused
    assert sandbox.state.shopify.files[published.media_id].data == jpeg()


@pytest.mark.parametrize(
    ("match", "kind"),
    [
        ("shopify.fileCreate", "reset_after"),
        ("shopify.fileCreate", "truncated"),
        ("shopify.fileUpdate", "reset_after"),
        ("shopify.fileCreate", "reset"),
        ("shopify.fileUpdate", "reset"),
    ],
)
async def test_a_lost_answer_leaves_one_file_attached_once(
    sandbox: RunningSandbox, match: str, kind: str
) -> None:
    sandbox.state.shopify.add_product("Red wine", [SKU])
    sandbox.state.faults.add(Fault(match=match, kind=kind))
    book = Book()
    async with client_of(sandbox) as client:
        product = await product_of(client)
        with pytest.raises((NetworkError, TargetError)) as caught:
            await put(client, product, book)
        assert caught.value.retryable
        published = await put(client, product, book)
    assert list(sandbox.state.shopify.files) == [published.media_id]
    assert sandbox.state.shopify.products[product.id].media_ids == [published.media_id]


async def test_a_file_that_the_index_does_not_show_yet_is_not_made_twice(
    sandbox: RunningSandbox,
) -> None:
    sandbox.state.shopify.add_product("Red wine", [SKU])
    async with client_of(sandbox) as client:
        product = await product_of(client)
        sandbox.state.traffic.set_latencies({"shopify.search_index": 5.0})
        first = await put(client, product)
        again = await put(client, product)
    assert again.media_id == first.media_id
    assert again.reused
    assert sandbox.state.traffic.requests("shopify.fileCreate") == 2
    assert len(sandbox.state.shopify.files) == 1


async def test_many_near_matches_are_paged_through(sandbox: RunningSandbox) -> None:
    shop = sandbox.state.shopify
    shop.add_product("Many", [f"AB-1{number}" for number in range(70)])
    wanted = shop.add_product("Wanted", ["AB-1"])
    async with client_of(sandbox) as client:
        assert (await product_of(client, "AB-1")).id == wanted


async def test_an_ambiguous_sku_is_refused_and_an_archived_double_is_not(
    sandbox: RunningSandbox,
) -> None:
    shop = sandbox.state.shopify
    shop.add_product("One", [SKU])
    draft = shop.add_product("Two", [SKU], "DRAFT")
    async with client_of(sandbox) as client:
        with pytest.raises(TargetError, match="2 products"):
            await product_of(client)
        shop.products[next(iter(shop.products))].status = "ARCHIVED"
        assert (await product_of(client)).id == draft


async def test_throttling_only_takes_time(sandbox: RunningSandbox) -> None:
    shop = sandbox.state.shopify
    shop.add_product("Red wine", [SKU])
    shop.bucket.configure(400, 50, available=60)
    names = [media_filename(SKU, "ab" * 32, "kitchen", n, "0123456789abcdef") for n in range(1, 5)]
    before = sandbox.state.clock.timestamp()
    async with client_of(sandbox, shopify_ready_timeout_seconds=9e9) as client:
        product = await product_of(client)
        await asyncio.gather(*(put(client, product, name=name) for name in names))
    assert len(shop.products[product.id].media_ids) == 4
    assert len(shop.files) == 4
    assert sandbox.state.clock.timestamp() - before > 1


async def test_a_throttled_mutation_is_done_once(sandbox: RunningSandbox) -> None:
    sandbox.state.shopify.add_product("Red wine", [SKU])
    sandbox.state.faults.add(Fault(match="shopify.fileCreate", kind="throttled", times=2))
    async with client_of(sandbox) as client:
        await put(client, await product_of(client))
    assert len(sandbox.state.shopify.files) == 1


@pytest.mark.parametrize(
    ("code", "retryable"), [("MEDIA_TIMEOUT_ERROR", True), ("INVALID_IMAGE_RESOLUTION", False)]
)
async def test_failed_processing_is_told_and_leaves_room_for_another_attempt(
    sandbox: RunningSandbox, code: str, retryable: bool
) -> None:
    shop = sandbox.state.shopify
    shop.add_product("Red wine", [SKU])
    sandbox.state.faults.add(Fault(match="shopify.fileCreate", kind="media_failed", code=code))
    book = Book()
    async with client_of(sandbox) as client:
        product = await product_of(client)
        with pytest.raises(TargetError, match=code) as caught:
            await put(client, product, book)
        assert caught.value.retryable is retryable
        assert shop.files == {}
        published = await put(client, product, book)
    assert list(shop.files) == [published.media_id]
    assert shop.products[product.id].media_ids == [published.media_id]


async def test_credentials_are_renewed_when_a_token_is_revoked(sandbox: RunningSandbox) -> None:
    sandbox.state.shopify.add_product("Red wine", [SKU])
    async with client_of(
        sandbox,
        shopify_access_token=None,
        shopify_client_id=sandbox.config.shopify_client_id,
        shopify_client_secret=sandbox.config.shopify_client_secret,
    ) as client:
        await product_of(client)
        sandbox.state.shopify.revoke_tokens()
        await product_of(client)
        sandbox.state.clock.advance(100_000)
        await product_of(client)


async def test_wrong_credentials_say_what_to_check(sandbox: RunningSandbox) -> None:
    async with client_of(sandbox, shopify_access_token="wrong") as client:
        with pytest.raises(TargetError, match="SHOPIFY_ACCESS_TOKEN"):
            await find_product(client, SKU)
    wrong = {"shopify_client_id": "id", "shopify_client_secret": "wrong"}
    async with client_of(sandbox, shopify_access_token=None, **wrong) as client:
        with pytest.raises(TargetError, match="SHOPIFY_CLIENT_ID"):
            await find_product(client, SKU)


async def test_missing_scopes_are_seen_before_and_named_after(sandbox: RunningSandbox) -> None:
    sandbox.state.shopify.add_product("Red wine", [SKU])
    sandbox.state.shopify.scopes = {"read_products", "write_products", "read_files"}
    async with client_of(sandbox) as client:
        assert await missing_scopes(client) == ("write_files",)
        with pytest.raises(TargetError, match="write_files"):
            await put(client, await product_of(client))
