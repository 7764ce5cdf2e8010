"""What a target does with pictures.

Composites go through the pipeline's last stage, and off again through `unpublish`, with a real
ledger; the plug-in speaks with a real shop over a `Wire`. A test is the merchant, too: it moves
pictures, takes them off, and deletes them.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from PIL import Image

from photopipe_dagster.core.errors import (
    ConfigurationError,
    JobError,
    PhotopipeError,
    ProductUnknownError,
    TargetError,
)
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.catalogue import Catalogue
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.jobs.transitions import Transitions
from photopipe_dagster.pipeline.runner import Pipeline, StageDone
from photopipe_dagster.pipeline.stages.shopify_media import publish_media
from photopipe_dagster.publishing.unpublish import unpublish
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.storage.pictures import DIGEST, RECIPE
from photopipe_dagster.targets.base import Publication, Target, TargetContext, Withdrawn
from photopipe_dagster.targets.registry import TARGETS
from photopipe_dagster.themes.registry import ThemeRegistry
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.results import cache
from photopipe_dagster_tests.support.wire import Cut, Wire, uncut

ROUNDS = 60
"""Steps of one publication, at most."""

_WRITES = {
    Catalogue: ("created_media", "replacing_media", "attached_media", "unpublished_media"),
    Transitions: ("advance", "unpublished"),
}
"""What the ledger is told of a publication."""

_runs = count()


class Storefront(ABC):
    """A shop, as its tests and its merchant know it.

    Args:
        name: The plug-in's.
        settings: Lead to the shop, with a token that it takes.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.plugin = TARGETS.get(name)
        self.settings = settings

    @abstractmethod
    def add_product(self, *skus: str) -> str:
        """A new product with a variant for each SKU; its id."""

    @abstractmethod
    def add_picture(self) -> str:
        """A picture of the merchant's own, on no product yet; its id."""

    @abstractmethod
    def gallery(self, product: str) -> list[str]:
        """Ids of what stands on a product. To change the list changes the product."""

    @abstractmethod
    def files(self) -> Mapping[str, object]:
        """All pictures by their ids, on a product or not. To delete one there deletes it."""

    @abstractmethod
    def products(self) -> dict[str, Any]:
        """The same for all products."""

    def step(self, request: httpx.Request) -> str | None:
        """What a request that changes something is called; ``None`` for one that only reads."""
        return None if request.method == "GET" else f"{request.method} {request.url.path}"

    async def sleep(self, seconds: float) -> None:
        """Let the shop's time pass."""
        await asyncio.sleep(0)


class DiedError(Exception):
    """Whatever was to come next is not done."""


@dataclass
class Publisher:
    """Publishes composites that did not need to be made, and takes them off again."""

    front: Storefront
    settings: Settings
    ledger: Ledger
    steps: list[str] = field(default_factory=list)
    """What was changed since the last cut was made: requests, and what the ledger was told."""
    _cut: Callable[[], Exception | None] = lambda: None

    def open(self, before: Cut = uncut) -> Target:
        """The target, over a wire that is cut like that."""

        def after(request: httpx.Request) -> Exception | None:
            step = self.front.step(request)
            if step is None:
                return None
            self.steps.append(step)
            return self._cut()

        wire = Wire(before, after)
        context = TargetContext(self.settings, transport=wire, sleep=self.front.sleep)
        return self.front.plugin.open(context)

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Services]:
        """All that publishing needs."""
        target = self.open()
        unused = ("cutout_route", "background_route", "fetch_photo", "decode_slots", "paid_calls")
        nothing: dict[str, Any] = dict.fromkeys(unused)
        yield Services(
            self.settings,
            self.ledger,
            object_store(self.settings),
            target=target,
            themes=ThemeRegistry.from_settings(self.settings),
            cache=cache(),
            **nothing,
        )
        await target.aclose()

    def publish(self, key: PhotoKey, colour: str) -> str | None:
        """Publish the composite of that colour; the media's id, or ``None`` if it failed."""
        data = jpeg(colour)
        metadata = {RECIPE: colour, DIGEST: hashlib.sha256(data).hexdigest()}
        metadata |= {"width": "32", "height": "32"}
        place = key.object_key(Stage.COMPOSITE)
        store = object_store(self.settings)
        store.put(place, data, content_type="image/jpeg", metadata=metadata)
        name = f"run-{next(_runs)}"
        stages = {Stage.SHOPIFY_MEDIA: publish_media}
        pipeline = Pipeline(self.services, stages, owner=name, run_id=name)
        (event,) = pipeline.run([key], [Stage.SHOPIFY_MEDIA])
        return event.result.artifact.facts.media_id if isinstance(event, StageDone) else None

    def unpublish(self, key: PhotoKey) -> Withdrawn:
        """Take it off its product."""

        async def run() -> Withdrawn:
            target = self.open()
            try:
                return await unpublish(self.settings, self.ledger, target, key.job_id)
            finally:
                await target.aclose()

        return asyncio.run(run())

    def ask(self, question: Callable[[Target], Awaitable[Any]], before: Cut = uncut) -> Any:
        """What the target answers."""

        async def run() -> Any:
            target = self.open(before)
            try:
                return await question(target)
            finally:
                await target.aclose()

        return asyncio.run(run())

    @contextmanager
    def cut_after(self, number: int | None, error: type[Exception]) -> Iterator[list[str]]:
        """Have an error instead of the answer to the step of that number, from 0.

        A step changes something: after what only reads, nothing has to be cut. Where it is a
        `DiedError`, what the ledger is told is a step, too.
        """
        self.steps = []
        self._cut = lambda: error("cut") if len(self.steps) - 1 == number else None

        def told(original: Callable[..., object], name: str) -> Callable[..., object]:
            def write(*args: object, **kwargs: object) -> object:
                self.steps.append(name)
                done = original(*args, **kwargs)
                if died := self._cut():
                    raise died
                return done

            return write

        with pytest.MonkeyPatch.context() as patch:
            for owner, names in _WRITES.items() if error is DiedError else ():
                for name in names:
                    patch.setattr(owner, name, told(getattr(owner, name), name))
            yield self.steps
        self._cut = lambda: None


@dataclass
class Memory:
    """A `MediaRecord` that outlives nothing."""

    media_id: str | None = None
    replaces: str | None = None

    def earlier(self, product_id: str) -> tuple[str, ...]:
        return ()

    async def created(self, media_id: str) -> None:
        self.media_id = media_id

    async def replacing(self, media_id: str | None) -> None:
        self.replaces = media_id


def photo(sku: str, theme: str = "default") -> PhotoKey:
    """A photo of a product."""
    return PhotoKey(sku, hashlib.sha256(sku.encode()).hexdigest(), theme)


def jpeg(colour: str) -> bytes:
    """Another colour is another composite."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(file, "JPEG")
    return file.getvalue()


class PublishingContract:
    """What every target does."""

    name: ClassVar[str]
    """The plug-in's."""

    @pytest.fixture
    def front(self) -> Storefront:
        """The shop, running and empty."""
        raise NotImplementedError

    @pytest.fixture
    def shop(self, front: Storefront, tmp_path: Path) -> Iterator[Publisher]:
        """Publishes there, with a ledger of its own."""
        settings = front.settings.model_copy(update={"data_dir": tmp_path})
        new_ledger(tmp_path)
        ledger = Ledger.open(settings)
        yield Publisher(front, settings, ledger)
        ledger.close()

    @pytest.fixture
    def stocked(self, shop: Publisher) -> Stocked:
        """A product with a picture that was published, between two of the merchant's own."""
        return Stocked.of(shop, "A")

    # --- the product -----------------------------------------------------------------------

    @pytest.mark.parametrize(
        "sku", ["AB-1", 'a "quoted" \\ one', "colon:(paren)", "#1 / 75%", "star*", "a OR b", "é"]
    )
    def test_a_product_is_found_by_exactly_its_sku(self, shop: Publisher, sku: str):
        for number, near in enumerate((f"{sku}0", f"X{sku}", sku.swapcase(), f"{sku} {sku}")):
            if near != sku:
                shop.front.add_product(near, f"other {number}")
        wanted = shop.front.add_product("first", sku)
        found = shop.ask(lambda target: target.find_product(sku))
        assert found.id == wanted
        assert re.fullmatch(shop.front.plugin.product_id, wanted)

    def test_none_and_several_are_told_and_are_final(self, shop: Publisher):
        shop.front.add_product("AB-10")
        for _ in range(2):
            with pytest.raises(ProductUnknownError, match="retry") as caught:
                shop.ask(lambda target: target.find_product("AB-1", may_be_new=True))
            assert not caught.value.retryable
            shop.front.add_product("AB-1", "AB-2")
            shop.front.add_product("AB-1")

    # --- one picture -----------------------------------------------------------------------

    def test_a_picture_is_put_on_its_product_once(self, shop: Publisher):
        product = shop.front.add_product("A")
        media = shop.publish(photo("A"), "red")
        assert re.fullmatch(shop.front.plugin.media_id, str(media))
        assert shop.publish(photo("A"), "red") == media
        assert (shop.front.gallery(product), len(shop.front.files())) == ([media], 1)

    def test_it_is_found_again_where_nobody_remembers_it(self, shop: Publisher):
        product = shop.front.add_product("A")
        picture = Publication(product, "a-0123456789-kitchen-1-0123456789ab.jpg", jpeg("red"))
        first = shop.ask(lambda target: target.publish(picture, Memory()))
        again = shop.ask(lambda target: target.publish(picture, Memory()))
        assert (first.reused, again.reused) == (False, True)
        assert first.media_id == again.media_id
        assert (shop.front.gallery(product), len(shop.front.files())) == ([first.media_id], 1)

    def test_two_themes_of_a_photo_are_two_pictures(self, shop: Publisher):
        product = shop.front.add_product("A")
        kitchen, luxury = photo("A", "kitchen"), photo("A", "luxury")
        one, two = shop.publish(kitchen, "red"), shop.publish(luxury, "blue")
        assert shop.front.gallery(product) == [one, two]
        new = shop.publish(kitchen, "green")
        assert shop.front.gallery(product) == [new, two]

    @pytest.mark.parametrize(("status", "retryable"), [(401, False), (403, False), (429, True)])
    def test_what_the_shop_refuses_is_told(self, shop: Publisher, status: int, retryable: bool):
        with pytest.raises(JobError) as caught:
            shop.ask(
                lambda target: target.find_product("A"), before=lambda _: httpx.Response(status)
            )
        assert caught.value.retryable is retryable

    # --- replacing -------------------------------------------------------------------------

    def test_a_changed_picture_stands_where_the_one_before_stood(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        new = shop.publish(stocked.key, "blue")
        assert new != old
        assert stocked.gallery == [first, new, last]
        assert old in shop.front.files()
        assert shop.publish(stocked.key, "blue") == new
        assert stocked.gallery == [first, new, last]
        assert shop.ledger.jobs.require(stocked.key.job_id).media_id == new

    def test_one_that_the_merchant_moved_is_replaced_where_it_stands_now(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        stocked.gallery[:] = [old, last, first]
        assert shop.publish(stocked.key, "blue") == stocked.gallery[0]
        assert stocked.gallery[1:] == [last, first]

    def test_one_that_the_merchant_took_off_is_followed_at_the_end(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        stocked.gallery.remove(old)
        new = shop.publish(stocked.key, "blue")
        assert stocked.gallery == [first, last, new]
        assert shop.unpublish(stocked.key).restored is None
        assert stocked.gallery == [first, last]

    def test_one_that_the_merchant_deleted_is_made_anew(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        stocked.gallery.remove(old)
        del shop.front.files()[old]
        new = shop.publish(stocked.key, "red")
        assert new not in (None, old)
        assert stocked.gallery == [first, last, new]
        assert shop.ledger.jobs.require(stocked.key.job_id).media_id == new

    def test_an_earlier_picture_that_is_wanted_again_is_not_made_again(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        shop.publish(stocked.key, "blue")
        assert shop.publish(stocked.key, "red") == old
        assert stocked.gallery == [first, old, last]
        assert len(shop.front.files()) == 4

    @pytest.mark.parametrize("error", [DiedError, httpx.ReadError])
    def test_wherever_replacing_ends_the_next_attempt_leaves_one_picture_in_its_place(
        self, shop: Publisher, error: type[Exception]
    ):
        for number in range(ROUNDS):
            stocked = Stocked.of(shop, f"A-{number}")
            _, first, old, last = stocked.parts
            with shop.cut_after(number, error) as steps:
                done = shop.publish(stocked.key, "blue")
            over = len(steps) <= number
            assert {first, last} < set(stocked.gallery), steps
            new = shop.publish(stocked.key, "blue")
            assert done in (None, new)
            assert stocked.gallery == [first, new, last], steps
            assert len(shop.front.files()) == 4 * (number + 1), steps
            known = shop.ledger.catalogue.media_of_job(stocked.key.job_id)
            standing = [each.media_id for each in known if each.may_stand_on(stocked.product)]
            assert standing == [new], steps
            assert shop.unpublish(stocked.key).restored == old, steps
            assert stocked.gallery == [first, old, last], steps
            if over:
                break
        else:
            pytest.fail("publishing takes too many steps")
        told = {"created_media", "replacing_media", "attached_media"}
        assert error is not DiedError or told <= set(steps)

    # --- undoing ---------------------------------------------------------------------------

    def test_taking_off_leaves_the_rest_and_the_file_and_twice_is_once(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        done = shop.unpublish(stocked.key)
        assert (done.taken, done.restored, done.lost) == ((old,), None, None)
        again = shop.unpublish(stocked.key)
        assert (again.taken, again.restored, again.lost) == ((), None, None)
        assert stocked.gallery == [first, last]
        assert old in shop.front.files()
        job = shop.ledger.jobs.require(stocked.key.job_id)
        assert (job.status, job.media_id) == (JobStatus.DONE, None)
        assert shop.ledger.dispatches.take(photos_per_dispatch=9, limit=9) == []

    def test_taking_off_brings_back_what_stood_there_once(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        new = shop.publish(stocked.key, "blue")
        done = shop.unpublish(stocked.key)
        assert (done.taken, done.restored, done.lost) == ((new,), old, None)
        assert shop.unpublish(stocked.key).taken == ()
        assert stocked.gallery == [first, old, last]
        assert shop.publish(stocked.key, "blue") == new
        assert stocked.gallery == [first, new, last]
        assert shop.unpublish(stocked.key).restored == old

    def test_what_is_deleted_cannot_come_back_and_is_named(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        new = shop.publish(stocked.key, "blue")
        del shop.front.files()[old]
        done = shop.unpublish(stocked.key)
        assert (done.taken, done.restored, done.lost) == ((new,), None, old)
        assert stocked.gallery == [first, last]

    def test_what_the_merchant_took_off_himself_brings_nothing_back(self, stocked: Stocked):
        shop, first, _, last = stocked.parts
        new = shop.publish(stocked.key, "blue")
        stocked.gallery.remove(new)
        done = shop.unpublish(stocked.key)
        assert (done.taken, done.restored, done.lost) == ((), None, None)
        assert stocked.gallery == [first, last]
        assert shop.publish(stocked.key, "blue") == new
        assert shop.unpublish(stocked.key).restored is None

    def test_a_product_that_is_gone_has_nothing_to_take_off(self, stocked: Stocked):
        shop = stocked.shop
        del shop.front.products()[stocked.product]
        assert shop.unpublish(stocked.key).taken == ()
        assert shop.ledger.jobs.require(stocked.key.job_id).media_id is None

    @pytest.mark.parametrize("error", [DiedError, httpx.ReadError])
    def test_wherever_taking_off_ends_the_next_attempt_ends_as_one_would(
        self, shop: Publisher, error: type[Exception]
    ):
        for number in range(ROUNDS):
            stocked = Stocked.of(shop, f"A-{number}")
            _, first, old, last = stocked.parts
            shop.publish(stocked.key, "blue")
            with shop.cut_after(number, error) as steps, suppress(DiedError, PhotopipeError):
                shop.unpublish(stocked.key)
            assert {first, last} < set(stocked.gallery), steps
            shop.unpublish(stocked.key)
            assert stocked.gallery == [first, old, last], steps
            assert shop.ledger.jobs.require(stocked.key.job_id).media_id is None
            new = shop.publish(stocked.key, "blue")
            assert stocked.gallery == [first, new, last], steps
            if len(steps) <= number:
                break
        else:
            pytest.fail("unpublishing takes too many steps")
        assert error is not DiedError or {"unpublished_media", "unpublished"} <= set(steps)

    # --- looking ---------------------------------------------------------------------------

    def test_what_stands_on_products_is_told(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        gone, bare = shop.front.add_product("B"), shop.front.add_product("C")
        del shop.front.products()[gone]
        told = shop.ask(lambda target: target.media_of([stocked.product, gone, bare]))
        assert [each.id for each in told[stocked.product]] == [first, old, last]
        (known,) = shop.ledger.catalogue.media_of_job(stocked.key.job_id)
        assert told[stocked.product][1].filename in (None, known.filename)
        assert (told[gone], told[bare]) == (None, ())

    def test_which_pictures_are_still_there_is_told(self, stocked: Stocked):
        shop, first, old, last = stocked.parts
        stocked.gallery.remove(old)
        del shop.front.files()[last]
        told = shop.ask(lambda target: target.existing([first, old, last]))
        assert told == {first, old}
        assert shop.ask(lambda target: target.existing(())) == frozenset()

    def test_its_health_is_told(self, front: Storefront):
        def probe(before: Cut = uncut) -> str:
            context = TargetContext(front.settings, Wire(before), front.sleep)
            return asyncio.run(front.plugin.probe(context))

        assert probe()
        with pytest.raises(TargetError):
            probe(lambda _: httpx.Response(401))

    def test_what_is_missing_is_named(self, front: Storefront):
        assert front.plugin.name == self.name
        assert front.plugin.shop(front.settings)
        front.plugin.check(front.settings)
        bare = Settings(_env_file=None)
        assert front.plugin.shop(bare) is None
        with pytest.raises(ConfigurationError) as caught:
            front.plugin.check(bare)
        variables = re.findall(r"[A-Z]+_[A-Z_]+", front.plugin.needs)
        assert any(each in str(caught.value) for each in variables)


@dataclass(frozen=True)
class Stocked:
    """A product with a red picture, between two of the merchant's own."""

    shop: Publisher
    product: str
    key: PhotoKey
    old: str

    @classmethod
    def of(cls, shop: Publisher, sku: str) -> Stocked:
        """A new one."""
        front, key = shop.front, photo(sku)
        product = front.add_product(sku)
        old = shop.publish(key, "red")
        assert old is not None
        front.gallery(product)[:] = [front.add_picture(), old, front.add_picture()]
        return cls(shop, product, key, old)

    @property
    def gallery(self) -> list[str]:
        """What stands on the product now."""
        return self.shop.front.gallery(self.product)

    @property
    def parts(self) -> Sequence:
        """The publisher, and the three pictures."""
        return self.shop, *self.gallery
