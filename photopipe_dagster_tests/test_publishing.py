"""A changed picture replaces its predecessor, and unpublishing brings that one back."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.errors import NetworkError, PhotopipeError, TargetError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.catalogue import Catalogue
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.jobs.transitions import Transitions
from photopipe_dagster.pipeline.runner import Pipeline, StageDone
from photopipe_dagster.pipeline.stages.shopify_media import publish_media
from photopipe_dagster.publishing.unpublish import unpublish
from photopipe_dagster.runtime.services import Services, open_target
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster.sandbox.shopify.records import Product
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.storage.pictures import DIGEST, RECIPE
from photopipe_dagster.targets.base import Withdrawn
from photopipe_dagster.themes.registry import ThemeRegistry
from photopipe_dagster_tests.results import cache

_runs = count()


class Shop:
    """Products in a stand-in of Shopify, and composites that did not need to be made."""

    def __init__(self, sandbox: RunningSandbox, settings: Settings) -> None:
        self.state = sandbox.state.shopify
        self.settings = settings
        self.ledger = Ledger.open(settings)
        self.store = object_store(settings)

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Services]:
        """All that publishing needs."""
        async with open_target(self.settings) as target:
            nothing = dict.fromkeys(("cutouts", "backgrounds", "fetch_photo", "decode_slots"))
            yield Services(
                self.settings,
                self.ledger,
                self.store,
                target=target,
                themes=ThemeRegistry.from_settings(self.settings),
                cache=cache(),
                **nothing,
            )

    def product(self, sku: str) -> Product:
        """A new product with that SKU."""
        return self.state.products[self.state.add_product(sku, [sku])]

    def merchants(self, product: Product, *places: int) -> list[str]:
        """Images that the merchant puts on a product, each at a place."""
        made = []
        for place in places:
            file = self.state.add_file("http://x.test/own.jpg", self.state.new_id("own"), "")
            file.loaded = file.settled = True
            product.media_ids.insert(place, file.id)
            made.append(file.id)
        return made

    def compose(self, key: PhotoKey, colour: str) -> None:
        """Another colour is another composite."""
        file = io.BytesIO()
        Image.new("RGB", (32, 32), colour).save(file, "JPEG")
        data = file.getvalue()
        metadata = {RECIPE: colour, DIGEST: hashlib.sha256(data).hexdigest()}
        metadata |= {"width": "32", "height": "32"}
        place = key.object_key(Stage.COMPOSITE)
        self.store.put(place, data, content_type="image/jpeg", metadata=metadata)

    def publish(self, key: PhotoKey, colour: str) -> str | None:
        """Publish the composite of that colour; the media's id, or ``None`` if it failed."""
        self.compose(key, colour)
        name = f"run-{next(_runs)}"
        stages = {Stage.SHOPIFY_MEDIA: publish_media}
        pipeline = Pipeline(self.services, stages, owner=name, run_id=name)
        (event,) = pipeline.run([key], [Stage.SHOPIFY_MEDIA])
        return event.result.artifact.facts.media_id if isinstance(event, StageDone) else None

    def unpublish(self, key: PhotoKey) -> Withdrawn:
        async def run() -> Withdrawn:
            async with open_target(self.settings) as target:
                return await unpublish(self.settings, self.ledger, target, key.job_id)

        return asyncio.run(run())


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(shopify_media_polls=0)) as running:
        yield running


@pytest.fixture
def shop(server: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    server.state.reset()
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SHOPIFY_STORE", server.shopify_url)
    monkeypatch.setenv("SHOPIFY_ACCESS_TOKEN", server.config.shopify_token)
    monkeypatch.setenv("SHOPIFY_POLL_SECONDS", "0.01")
    shop = Shop(server, Settings(_env_file=None))
    yield shop
    shop.ledger.close()


def photo(sku: str, theme: str = "default") -> PhotoKey:
    return PhotoKey(sku, hashlib.sha256(sku.encode()).hexdigest(), theme)


READS = {"find_variants", "files_by_name", "file_by_id", "product_media", "job_done"}


class KilledError(Exception):
    """The process ends here."""


@contextmanager
def killed_after(step: int | None) -> Iterator[list[str]]:
    """Die after the step of that number, from 0. Collects the calls and writes so far.

    A step changes something: what only reads has not to be died after, too.
    """
    steps: list[str] = []

    def due() -> bool:
        changes = [each for each in steps if each not in READS]
        return steps[-1] not in READS and len(changes) - 1 == step

    def wrapped(original: Callable, name: str) -> Callable:
        def write(*args: object, **kwargs: object) -> object:
            steps.append(name)
            done = original(*args, **kwargs)
            if due():
                raise KilledError
            return done

        return write

    execute = ShopifyClient.execute

    async def call(self: ShopifyClient, name: str, variables: dict, *, safe: bool) -> dict:
        steps.append(name)
        answer = await execute(self, name, variables, safe=safe)
        if due():
            raise KilledError
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShopifyClient, "execute", call)
        for owner, names in (
            (
                Catalogue,
                ("created_media", "replacing_media", "attached_media", "unpublished_media"),
            ),
            (Transitions, ("advance", "unpublished")),
        ):
            for name in names:
                patch.setattr(owner, name, wrapped(getattr(owner, name), name))
        yield steps


# --- replacing -----------------------------------------------------------------------------


def test_the_first_publication_asks_shopify_no_more_than_it_has_to(shop: Shop):
    product = shop.product("A")
    with killed_after(None) as steps:
        media_id = shop.publish(photo("A"), "red")
    assert product.media_ids == [media_id]
    assert steps == [
        "find_variants",
        "files_by_name",
        "create_staged_upload",
        "create_file",
        "created_media",
        "file_by_id",
        "update_file",
        "attached_media",
        "advance",
    ]


def test_a_changed_picture_stands_where_the_one_before_stood(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    first, last = shop.merchants(product, 0, 2)
    assert product.media_ids == [first, old, last]
    new = shop.publish(key, "blue")
    assert new != old
    assert product.media_ids == [first, new, last]
    assert old in shop.state.files
    assert shop.publish(key, "blue") == new
    assert product.media_ids == [first, new, last]
    assert shop.ledger.jobs.require(key.job_id).media_id == new


def test_a_picture_that_the_merchant_moved_is_replaced_where_it_stands_now(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    others = shop.merchants(product, 0, 1)
    product.media_ids = [old, *others]
    new = shop.publish(key, "blue")
    assert product.media_ids == [new, *others]


def test_a_picture_that_the_merchant_took_off_is_not_replaced_but_followed_at_the_end(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    others = shop.merchants(product, 0, 1)
    product.media_ids.remove(old)
    new = shop.publish(key, "blue")
    assert product.media_ids == [*others, new]
    assert shop.unpublish(key).restored is None
    assert product.media_ids == others


def test_going_back_to_an_earlier_composite_takes_its_file_again(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    red = shop.publish(key, "red")
    others = shop.merchants(product, 1)
    shop.publish(key, "blue")
    assert shop.publish(key, "red") == red
    assert product.media_ids == [red, *others]


def test_two_themes_of_a_photo_are_two_pictures(shop: Shop):
    product = shop.product("A")
    kitchen, luxury = photo("A", "kitchen"), photo("A", "luxury")
    one, two = shop.publish(kitchen, "red"), shop.publish(luxury, "blue")
    assert product.media_ids == [one, two]
    new = shop.publish(kitchen, "green")
    assert product.media_ids == [new, two]


def test_doubles_that_were_left_by_an_older_version_become_one(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    others = shop.merchants(product, 1)
    newer = shop.publish(key, "blue")
    product.media_ids = [old, *others, newer]
    book = shop.ledger.catalogue
    for known in book.media_of_job(key.job_id):
        book.attached_media(known.filename, product.id)
    newest = shop.publish(key, "green")
    assert product.media_ids == [newest, *others]


def test_a_file_that_the_merchant_deleted_is_made_anew(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    others = shop.merchants(product, 1)
    product.media_ids.remove(old)
    del shop.state.files[old]
    new = shop.publish(key, "red")
    assert new not in (None, old)
    assert product.media_ids == [*others, new]
    assert shop.ledger.jobs.require(key.job_id).media_id == new


def test_wherever_replacing_is_killed_the_next_attempt_ends_with_one_picture_in_its_place(
    shop: Shop,
):
    for step in count():
        key = photo(f"A-{step}")
        product = shop.product(key.sku)
        old = shop.publish(key, "red")
        first, last = shop.merchants(product, 0, 2)
        with killed_after(step) as steps:
            done = shop.publish(key, "blue")
        assert {first, last} <= set(product.media_ids), steps
        assert len(set(product.media_ids)) > 2, f"no picture of the job after {steps}"
        new = shop.publish(key, "blue")
        assert product.media_ids == [first, new, last], steps
        standing = [
            known.media_id
            for known in shop.ledger.catalogue.media_of_job(key.job_id)
            if known.may_stand_on(product.id)
        ]
        assert standing == [new], steps
        assert len(shop.state.files) == 4 * (step + 1), steps
        assert shop.unpublish(key).restored == old, steps
        assert product.media_ids == [first, old, last], steps
        if done is not None:
            break
    assert {"reorder_media", "job_done", "update_file", "replacing_media"} <= set(steps)


# --- unpublishing --------------------------------------------------------------------------


def test_unpublishing_takes_the_picture_off_and_twice_is_as_good_as_once(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    media_id = shop.publish(key, "red")
    others = shop.merchants(product, 0, 2)
    done = shop.unpublish(key)
    assert (done.taken, done.restored) == ((media_id,), None)
    assert product.media_ids == others
    assert media_id in shop.state.files
    again = shop.unpublish(key)
    assert (again.taken, again.restored) == ((), None)
    job = shop.ledger.jobs.require(key.job_id)
    assert (job.status, job.media_id) == (JobStatus.DONE, None)
    assert shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9) == []


def test_unpublishing_restores_what_stood_there_once_and_publishing_replaces_it_again(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    others = shop.merchants(product, 0, 2)
    new = shop.publish(key, "blue")
    done = shop.unpublish(key)
    assert (done.taken, done.restored, done.lost) == ((new,), old, None)
    assert product.media_ids == [others[0], old, others[1]]
    assert shop.unpublish(key).taken == ()
    assert product.media_ids == [others[0], old, others[1]]
    assert shop.publish(key, "blue") == new
    assert product.media_ids == [others[0], new, others[1]]
    assert shop.unpublish(key).restored == old


def test_a_predecessor_whose_file_is_gone_cannot_come_back(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    new = shop.publish(key, "blue")
    del shop.state.files[old]
    done = shop.unpublish(key)
    assert (done.taken, done.restored, done.lost) == ((new,), None, old)
    assert product.media_ids == []


def test_what_the_merchant_took_off_himself_brings_nothing_back(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    shop.publish(key, "red")
    new = shop.publish(key, "blue")
    product.media_ids.remove(new)
    done = shop.unpublish(key)
    assert (done.taken, done.restored) == ((), None)
    assert product.media_ids == []
    # Published again, it stands at the end and took nobody's place.
    assert shop.publish(key, "blue") == new
    assert shop.unpublish(key).restored is None


def test_a_product_that_is_gone_has_nothing_to_take_off(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    shop.publish(key, "red")
    del shop.state.products[product.id]
    assert shop.unpublish(key).taken == ()
    assert shop.ledger.jobs.require(key.job_id).media_id is None


def test_wherever_unpublishing_is_killed_the_next_attempt_ends_as_one_would(
    shop: Shop,
):
    for step in count():
        key = photo(f"A-{step}")
        product = shop.product(key.sku)
        old = shop.publish(key, "red")
        first, last = shop.merchants(product, 0, 2)
        shop.publish(key, "blue")
        with killed_after(step) as steps:
            try:
                shop.unpublish(key)
                survived = True
            except KilledError:
                survived = False
        assert len(product.media_ids) >= 3, steps
        shop.unpublish(key)
        assert product.media_ids == [first, old, last], steps
        assert shop.ledger.jobs.require(key.job_id).media_id is None
        new = shop.publish(key, "blue")
        assert product.media_ids == [first, new, last], steps
        if survived:
            break
    assert {"reorder_media", "update_file", "unpublished_media", "unpublished"} <= set(steps)


def test_unpublishing_after_a_publication_that_was_killed_takes_off_what_it_left(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    shop.publish(key, "red")
    others = shop.merchants(product, 1)
    shop.publish(key, "blue")
    with killed_after(3) as steps:
        assert shop.publish(key, "green") is None
    assert steps[-1] == "update_file"
    assert len(product.media_ids) == 3
    done = shop.unpublish(key)
    assert len(done.taken) == 2
    assert done.restored is not None
    assert product.media_ids == [done.restored, *others]


def test_a_job_on_its_way_is_left_alone(shop: Shop):
    shop.product("A")
    key = photo("A")
    shop.ledger.intake.submit(key, "submit")
    with pytest.raises(PhotopipeError, match="NEW"):
        shop.unpublish(key)
    shop.publish(key, "red")
    shop.ledger.leases.take([job_lease(key.job_id)], "some run")
    with pytest.raises(PhotopipeError, match="run is at work"):
        shop.unpublish(key)
    with pytest.raises(PhotopipeError, match="no job"):
        shop.unpublish(photo("B"))


def test_an_error_of_shopify_leaves_the_claim_free(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    shop.publish(key, "red")
    shop.state.scopes = {"read_products", "read_files"}
    with pytest.raises((TargetError, NetworkError), match="write_files"):
        shop.unpublish(key)
    assert len(product.media_ids) == 1
    shop.state.scopes = {"read_products", "write_products", "read_files", "write_files"}
    assert len(shop.unpublish(key).taken) == 1


def test_the_command_says_what_it_did_and_how_to_publish_again(shop: Shop):
    shop.product("A")
    key = photo("A")
    old = shop.publish(key, "red")
    new = shop.publish(key, "blue")
    said = CliRunner().invoke(app, ["unpublish", key.job_id])
    assert said.exit_code == 0, said.output
    flat = " ".join(said.output.split())
    assert f"{new} is off its product" in flat
    assert f"{old}, which stood there before, is back" in flat
    assert f"photopipe publish {key.job_id}" in flat
    again = CliRunner().invoke(app, ["unpublish", key.job_id])
    assert "nothing of it is on a product" in " ".join(again.output.split())


def test_what_was_taken_off_is_published_again_when_a_person_asks_for_it(shop: Shop):
    product = shop.product("A")
    key = photo("A")
    media_id = shop.publish(key, "red")
    shop.unpublish(key)
    assert product.media_ids == []
    said = CliRunner().invoke(app, ["publish", key.job_id, key.job_id])
    assert said.exit_code == 0, said.output
    assert said.output.count("goes out again") == 1
    (dispatch,) = shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert dispatch.keys == (key,)
    assert shop.publish(key, "red") == media_id
    assert product.media_ids == [media_id]
    assert len(shop.state.files) == 1
    shop.ledger.intake.submit(photo("B"), "submit")
    said = CliRunner().invoke(app, ["publish", key.job_id, photo("B").job_id])
    assert said.exit_code == 1
    assert "only a DONE one" in str(said.exception)
    assert shop.ledger.jobs.require(key.job_id).status is JobStatus.DONE
