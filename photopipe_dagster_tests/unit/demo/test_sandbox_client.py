import io
from decimal import Decimal

import httpx
import pytest
from PIL import Image

from photopipe_dagster.demo.photos import SUBJECTS, DemoPhoto
from photopipe_dagster.demo.sandbox_client import SandboxRequestError, StandIns
from photopipe_dagster.demo.seed import fill_shelves
from photopipe_dagster.publishing.product_kind import what_it_is
from photopipe_dagster.sandbox.server import running_sandbox


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox() as running:
        yield running


@pytest.fixture
def stand_ins(sandbox):
    sandbox.state.reset()
    with StandIns(sandbox.url) as client:
        yield client


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG")
    return file.getvalue()


def test_products_and_photos_get_on_their_shelves(sandbox, stand_ins):
    gid = stand_ins.add_product("Mug", "MUG#1/a b")
    number = stand_ins.add_photo("MUG#1/a b", jpeg())
    (photo,) = sandbox.state.threejms.photos()
    assert (photo.id, photo.sku, photo.data) == (number, "MUG#1/a b", jpeg())
    assert sandbox.state.shopify.products[gid].variants[0].sku == "MUG#1/a b"


def test_the_shop_is_told_what_lies_and_that_alone(sandbox, stand_ins):
    fill_shelves(stand_ins, [DemoPhoto(subject, jpeg()) for subject in SUBJECTS])
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
    lying = {sku: told.why for sku, told in found.items() if told is not None and told.kind.lies}
    assert lying == {
        "TEE-VAN-M": "its category is Apparel & Accessories > Clothing > Clothing Tops > T-Shirts"
    }


def test_webhooks_that_nobody_takes_are_told(stand_ins):
    number = stand_ins.add_photo("A", jpeg())
    assert stand_ins.push([number], "http://127.0.0.1:9/nobody", "kitchen") == [0]


def test_the_books_have_what_happened(sandbox, stand_ins):
    gid = stand_ins.add_product("Mug", "A")
    empty = stand_ins.books()
    assert (empty.polls, empty.charges, empty.files, empty.published) == (0, (), (), 0)
    assert empty.media == {gid: ()}

    httpx.get(f"{sandbox.threejms_url}/photos", trust_env=False)
    sandbox.state.freepik.sell_cutout({}, dead=False)
    file = sandbox.state.shopify.add_file("http://127.0.0.1:9/x.jpg", "x.jpg", "")
    sandbox.state.shopify.products[gid].media_ids.append(file.id)

    books = stand_ins.books()
    assert books.polls == 1
    assert books.charges == (("cutout", Decimal("0.02")),)
    assert books.billed_usd == Decimal("0.02")
    assert books.files == ((file.id, "x.jpg"),)
    assert books.media == {gid: (file.id,)}
    assert books.published == 1


def test_a_refusal_is_an_error_that_says_what_was_asked(stand_ins):
    with pytest.raises(SandboxRequestError, match=r"POST /_sandbox/threejms/push with 404"):
        stand_ins.push(["nothing"], "http://127.0.0.1:9/")
