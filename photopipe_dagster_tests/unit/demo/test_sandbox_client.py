import io
from decimal import Decimal

import httpx
import pytest
from PIL import Image

from photopipe_dagster.demo.photos import SUBJECTS, DemoPhoto
from photopipe_dagster.demo.sandbox_client import SandboxClient, SandboxRequestError
from photopipe_dagster.demo.seed import seed_sandbox
from photopipe_dagster.publishing.product_kind import what_it_is
from photopipe_dagster.sandbox.server import running_sandbox


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox() as running:
        yield running


@pytest.fixture
def sandbox_client(sandbox):
    sandbox.state.reset()
    with SandboxClient(sandbox.url) as client:
        yield client


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG")
    return file.getvalue()


def test_products_and_photos_get_on_their_shelves(sandbox, sandbox_client):
    gid = sandbox_client.add_product("Mug", "MUG#1/a b")
    number = sandbox_client.add_photo("MUG#1/a b", jpeg())
    (photo,) = sandbox.state.threejms.photos()
    assert (photo.id, photo.sku, photo.data) == (number, "MUG#1/a b", jpeg())
    assert sandbox.state.shopify.products[gid].variants[0].sku == "MUG#1/a b"


def test_filling_a_shop_that_was_kept_adds_no_product_twice(sandbox, sandbox_client):
    photos = [DemoPhoto(subject, jpeg()) for subject in SUBJECTS]
    seed_sandbox(sandbox_client, photos)
    seed_sandbox(sandbox_client, photos)
    assert len(sandbox.state.shopify.products) == len(SUBJECTS)


def test_the_shop_is_told_what_lies_and_that_alone(sandbox, sandbox_client):
    seed_sandbox(sandbox_client, [DemoPhoto(subject, jpeg()) for subject in SUBJECTS])
    found = {}
    for product in sandbox.state.shopify.products.values():
        category = product.category
        found[product.variants[0].sku] = what_it_is(
            category_id=None if category is None else category.id,
            category=None if category is None else category.full_name,
            product_type=product.product_type,
            title=product.title,
        )
    assert found.keys() == {subject.sku for subject in SUBJECTS}
    lying = {sku: told.why for sku, told in found.items() if told and told.kind.flat_lay}
    assert lying == {
        "TEE-VAN-M": "its category is Apparel & Accessories > Clothing > Clothing Tops > T-Shirts"
    }


def test_webhooks_that_nobody_takes_are_told(sandbox_client):
    number = sandbox_client.add_photo("A", jpeg())
    assert sandbox_client.push([number], "http://127.0.0.1:9/nobody", "kitchen") == [0]


def test_the_books_have_what_happened(sandbox, sandbox_client):
    gid = sandbox_client.add_product("Mug", "A")
    empty = sandbox_client.records()
    assert (empty.polls, empty.charges, empty.files, empty.published) == (0, (), (), 0)
    assert empty.media == {gid: ()}

    httpx.get(f"{sandbox.threejms_url}/photos", trust_env=False)
    sandbox.state.freepik.sell_cutout({}, dead=False)
    file = sandbox.state.shopify.add_file("http://127.0.0.1:9/x.jpg", "x.jpg", "")
    sandbox.state.shopify.products[gid].media_ids.append(file.id)

    records = sandbox_client.records()
    assert records.polls == 1
    assert records.charges == (("cutout", Decimal("0.02")),)
    assert records.billed_usd == Decimal("0.02")
    assert records.files == ((file.id, "x.jpg"),)
    assert records.media == {gid: (file.id,)}
    assert records.published == 1


def test_a_refusal_is_an_error_that_says_what_was_asked(sandbox_client):
    with pytest.raises(SandboxRequestError, match=r"POST /_sandbox/threejms/push with 404"):
        sandbox_client.push(["nothing"], "http://127.0.0.1:9/")
