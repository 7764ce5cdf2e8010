from photopipe_dagster.ledger import Ledger
from photopipe_dagster_tests.unit.ledger.conftest import Clock


def test_a_product_is_remembered_replaced_and_forgotten(ledger: Ledger, clock: Clock):
    assert ledger.catalogue.product("A") is None
    ledger.catalogue.remember_product("A", "gid://1", handle="one", title="One")
    clock.move(5)
    ledger.catalogue.remember_product("A", "gid://2", handle="two", title=None)
    known = ledger.catalogue.product("A")
    assert (known.product_id, known.handle, known.synced_at) == ("gid://2", "two", clock.now)
    ledger.catalogue.forget_product("A")
    assert ledger.catalogue.product("A") is None


def test_what_shopify_says_of_a_product_is_kept_and_renewed(ledger: Ledger):
    facts = {"category_id": "gid://x/aa-1", "category": "Clothing", "product_type": "Tees"}
    said = {"handle": "tee", "title": "Tee"}
    kept = ledger.catalogue.remember_product("A", "gid://1", **said, **facts)
    assert ledger.catalogue.product("A") == kept
    assert (kept.category_id, kept.category, kept.product_type) == tuple(facts.values())
    ledger.catalogue.remember_product("A", "gid://1", **said)
    known = ledger.catalogue.product("A")
    assert (known.category_id, known.category, known.product_type) == (None, None, None)


def test_a_media_made_anew_is_not_attached_yet(ledger: Ledger):
    ledger.catalogue.created_media("a.jpg", "job", "m1")
    ledger.catalogue.attached_media("a.jpg", "p1")
    assert ledger.catalogue.media("a.jpg").product_id == "p1"
    ledger.catalogue.created_media("a.jpg", "job", "m2")
    media = ledger.catalogue.media("a.jpg")
    assert (media.media_id, media.product_id, media.attached_at) == ("m2", None, None)


def test_a_media_gives_way_and_comes_back(ledger: Ledger, clock: Clock):
    book = ledger.catalogue
    for name, media_id in (("a.jpg", "m1"), ("b.jpg", "m2")):
        clock.move(1)
        book.created_media(name, "job", media_id)
        book.attached_media(name, "p1")
    clock.move(1)
    book.replacing_media("b.jpg", "m1")
    book.attached_media("b.jpg", "p1", gone=["m1"])
    new, old = book.media_of_job("job")
    assert (new.media_id, new.replaces_media_id, new.detached_at) == ("m2", "m1", None)
    assert (old.media_id, old.detached_at) == ("m1", clock.now)
    assert (new.may_stand_on("p1"), new.may_stand_on("p2"), old.may_stand_on("p1")) == (
        True,
        False,
        False,
    )
    clock.move(1)
    book.unpublished_media(["m2"], restored="m1")
    assert book.media("b.jpg").detached_at == clock.now
    back = book.media("a.jpg")
    assert (back.detached_at, back.restored_at) == (None, clock.now)
    book.attached_media("a.jpg", "p1")
    assert book.media("a.jpg").restored_at is None


def test_rejections_are_kept_once(ledger: Ledger):
    refused = {"sku": "", "url": "https://x.test/a.jpg"}
    assert ledger.watermarks.reject("poll", "no SKU", refused)
    assert not ledger.watermarks.reject("poll", "no SKU", refused)
    (kept,) = ledger.watermarks.rejections()
    assert (kept.reason, kept.announcement) == ("no SKU", refused)
