"""A shop in which one fault after another happens to one photo after another."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Final

from PIL import Image
from sqlalchemy import delete

from photopipe_dagster.core.errors import ConfigurationError, JobError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.recipe import outside_recipe
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.defs.assets.photos import STAGE_FUNCTIONS
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import Spend, SpendState
from photopipe_dagster.ledger.tables import breakers
from photopipe_dagster.net.client import Retry
from photopipe_dagster.net.safe_download import Downloader, DownloadPolicy
from photopipe_dagster.pipeline.runner import PhotoFailed, Pipeline, StageDone
from photopipe_dagster.providers.base import ProviderContext
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.services import Services, open_services
from photopipe_dagster.sources.intake import Intake
from photopipe_dagster.sources.polling import Poller
from photopipe_dagster.sources.threejms.client import ThreeJmsClient
from photopipe_dagster.sources.threejms.plugin import POLLING, Plugin
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.storage.pictures import DIGEST, RECIPE
from photopipe_dagster.storage.s3 import S3Store
from photopipe_dagster.targets.base import TargetContext
from photopipe_dagster.targets.registry import required_target
from photopipe_dagster_tests.support.faults.bucket import BUCKET, Trouble, impatience
from photopipe_dagster_tests.support.faults.calls import (
    CANARY,
    HANGS,
    NOT_CONNECTED,
    Call,
    stand_ins_fault,
)
from photopipe_dagster_tests.support.faults.network import ClientTimeouts, FlyingTime, Network
from photopipe_dagster_tests.support.faults.own import Happened, full_disk, ledger_trouble
from photopipe_dagster_tests.support.world import World, photo_of_a_mug

DONE: Final = "done"
BROKEN_OFF: Final = "the run fails, tried again"
NOTHING: Final = "–"

_SIDE: Final = 192
"""Pixels of a photo whose product is just large enough to pass the checks."""

_SMALL: Final = 72
"""Pixels where nobody looks at the product."""

_PATIENCE: Final = {
    "freepik_poll_seconds": 2.0,
    "freepik_task_timeout_seconds": 60.0,
    "shopify_poll_seconds": 1.0,
    "shopify_ready_timeout_seconds": 120.0,
}
"""Seconds of the flying time."""

_WORDS: Final = {
    SpendState.RESERVED: "reserved",
    SpendState.SUBMITTED: "bought",
    SpendState.CHARGED: "paid",
    SpendState.UNKNOWN: "perhaps paid",
    SpendState.VOID: "not paid",
}
_LOST: Final = "paid and lost"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try.

    Args:
        word: As the table says it.
        message: What a person reads; empty if all is well.
        record: All that is written down of it.
    """

    word: str
    message: str = ""
    record: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """A photo of its own for one fault, and what the provider had charged before it came."""

    key: PhotoKey
    call: Call
    charged_before: int


class Shop:
    """The pieces of a shop, and what goes wrong in it.

    Args:
        world: The simulators, the API and the ledger.
        bucket_url: Where the bucket answers.
        trouble: What goes wrong there.
    """

    def __init__(self, world: World, bucket_url: str, trouble: Trouble) -> None:
        self.world = world
        self.state = world.sandbox.state
        self.ledger = world.ledger
        self.time = FlyingTime()
        self._folder = object_store(world.settings)
        self._bucket = _impatient_bucket(world.settings, bucket_url, trouble)
        self._trouble = trouble
        self._timeouts = ClientTimeouts()
        self._ahead = timedelta()
        self.ledger.database.now = lambda: datetime.now(UTC) + self._ahead
        self._numbers = count(1)
        self._runs = count(1)

    # --- photos --------------------------------------------------------------------------

    def subject(self, call: Call) -> Subject:
        """A photo that has come as far as the stage which makes a call."""
        number = next(self._numbers)
        charged = len(self.state.freepik.charges)
        data = photo_of_a_mug(number, _SIDE if call.stage is Stage.MASK else _SMALL)
        sku = f"SKU {number}"
        key = PhotoKey(sku, hashlib.sha256(data).hexdigest(), "default")
        if call.stage is None:
            self.state.threejms.reset()
        photo = self.state.threejms.add(sku, data, "image/jpeg")
        if call.stage is None:
            return Subject(key, call, charged)
        url = f"{photo.url(self.world.sandbox.threejms_url)}?X-Amz-Signature={CANARY}"
        self.ledger.intake.submit(key, "webhook", image_url=url)
        match call.stage:
            case Stage.MASK:
                self._prepare(key, call, Stage.ORIGINAL, data)
                if call.goes_on:
                    self.world.stock(sku)
                    made = outside_recipe(Stage.BACKGROUND, {})
                    self._prepare(key, call, Stage.BACKGROUND, _paper(), recipe=made)
            case Stage.BACKGROUND:
                self._prepare(key, call, Stage.MASK, b"only its size is asked for")
            case Stage.COMPOSITE:
                self._prepare(key, call, Stage.MASK, b"damaged")
                self._prepare(key, call, Stage.BACKGROUND, data)
            case Stage.SHOPIFY_MEDIA:
                self.world.stock(sku)
                if call.replaces:
                    self._publish_another(key)
                self._prepare(key, call, Stage.COMPOSITE, data)
        return Subject(key, call, charged)

    def _prepare(
        self, key: PhotoKey, call: Call, stage: Stage, data: bytes, recipe: str = "prepared"
    ) -> None:
        """Store what a stage would have made."""
        metadata = {RECIPE: recipe, DIGEST: hashlib.sha256(data).hexdigest()}
        side = str(_SIDE if stage is Stage.ORIGINAL else _SMALL)
        metadata |= {"width": side, "height": side, "content_type": "image/jpeg"}
        self._store(call).put(
            key.object_key(stage), data, content_type="image/jpeg", metadata=metadata
        )

    def _publish_another(self, key: PhotoKey) -> None:
        """An earlier picture of the photo stands on the product, and one of the merchant's."""
        product = self._product(key)
        for name in (f"earlier-{key.job_id}.jpg", f"own-{key.job_id}.jpg"):
            file = self.state.shopify.add_file(f"http://x.test/{name}", name, "")
            file.loaded = file.settled = True
            product.media_ids.append(file.id)
        earlier = f"earlier-{key.job_id}.jpg"
        self.ledger.catalogue.created_media(earlier, key.job_id, product.media_ids[0])
        self.ledger.catalogue.attached_media(earlier, product.id)

    def _product(self, key: PhotoKey) -> Any:
        products = self.state.shopify.products.values()
        job = self.ledger.jobs.require(key.job_id)
        titled = [product for product in products if product.title == f"Product {job.key.sku}"]
        (product,) = titled
        return product

    # --- what goes wrong -----------------------------------------------------------------

    @contextmanager
    def trouble(self, subject: Subject, name: str, *, lasting: bool) -> Iterator[Happened]:
        """A fault happens once or goes on happening; yields how often it has."""
        call = subject.call
        service, _, rest = call.operation.partition(".")
        times = 1_000_000 if lasting else 1
        match service:
            case "s3":
                self._trouble.plan(call.asked, name, times)
                yield lambda: self._trouble.happened
                self._trouble.left = 0
            case "folder":
                with full_disk("masks/", lasting=lasting) as happened:
                    yield happened
            case "ledger":
                with ledger_trouble(self.ledger, rest, name, lasting=lasting) as happened:
                    yield happened
            case _ if name == NOT_CONNECTED:
                with self._unreachable(call, times) as happened:
                    yield happened
            case _:
                with self._at_the_stand_ins(call, name, lasting=lasting) as happened:
                    yield happened

    @contextmanager
    def _unreachable(self, call: Call, times: int) -> Iterator[Happened]:
        happened: list[str] = []

        def refused(request: Any) -> bool:
            if len(happened) >= times or not call.is_asked_by(request):
                return False
            happened.append(request.method)
            return True

        self._timeouts = ClientTimeouts(refused=refused)
        yield lambda: len(happened)
        self._timeouts = ClientTimeouts()

    @contextmanager
    def _at_the_stand_ins(self, call: Call, name: str, *, lasting: bool) -> Iterator[Happened]:
        fault = stand_ins_fault(call, name, lasting=lasting)
        number = self.state.faults.add(fault)
        seen = [0]

        def happened() -> int:
            return next(each.happened for each in self.state.faults.planned() if each.id == number)

        def hung() -> int:
            if self.state.traffic.idle:
                seen[0] = happened()
            return seen[0]

        self._timeouts = ClientTimeouts(hung) if fault.kind in HANGS else ClientTimeouts()
        yield happened
        self._timeouts = ClientTimeouts()
        self.state.faults.clear()

    # --- trying --------------------------------------------------------------------------

    def attempt(self, subject: Subject) -> Outcome:
        """Take the photo through the stage once, as a run does."""
        self.time.slept.clear()
        if subject.call.stage is None:
            return asyncio.run(self._poll(subject))
        self._let_all_be_well()
        run = f"run-{next(self._runs)}"
        pipeline = Pipeline(
            lambda: self._services(subject.call), STAGE_FUNCTIONS, owner=run, run_id=run
        )
        try:
            *_, event = pipeline.run([subject.key], subject.call.stages)
        except Exception as error:
            # Go on when the lease of the run that broke off has ended.
            self._ahead += timedelta(seconds=self.world.settings.job_lease_seconds + 1)
            return Outcome(BROKEN_OFF, str(error), str(error))
        finally:
            self._settle_down()
        job = self.ledger.jobs.require(subject.key.job_id)
        if isinstance(event, StageDone):
            if job.status is JobStatus.FAILED:
                raise AssertionError(job.error_message)
            return Outcome(DONE)
        if not isinstance(event, PhotoFailed):
            raise AssertionError(event)
        if job.status is not JobStatus.FAILED or job.error_code is not event.error.code:
            raise AssertionError(job)
        again = "tried again" if job.retry_at is not None else "for good"
        record = json.dumps([job.error_message, job.error_details, self._notes(subject)])
        return Outcome(f"{job.error_code}, {again}", job.error_message or "", record)

    def _let_all_be_well(self) -> None:
        """No service is down, and pictures have been published lately: a row is of one photo."""
        with self.ledger.database.write() as connection:
            connection.execute(delete(breakers))
        self.ledger.breakers.note_success("shopify")

    def _notes(self, subject: Subject) -> list[str | None]:
        return [spend.note for spend in self.spends(subject)]

    def _settle_down(self) -> None:
        """Let the simulators end what their clients have not waited for."""

        deadline = time.monotonic() + 20
        while not self.state.traffic.idle:
            if time.monotonic() > deadline:
                raise TimeoutError("the simulators are still at work")
            time.sleep(0.002)

    async def _poll(self, subject: Subject) -> Outcome:
        settings = self.world.settings
        client = ThreeJmsClient(
            settings, Network(self._timeouts), retry=Retry(sleep=self.time.sleep)
        )
        try:
            fetch = client.fetch  # of 3JMS, which knows digests: nothing is fetched
            intake = Intake(settings, self.ledger, self.world.store, fetch)
            await Poller(Plugin(), POLLING, client, intake, self.ledger, settings).poll()
        except ConfigurationError as error:
            return Outcome("the poll fails: settings", str(error), str(error))
        except JobError as error:
            record = f"{error.message} {error.details}"
            return Outcome(f"the poll fails: {error.code}", error.message, record)
        finally:
            await client.aclose()
        return Outcome(DONE if self.ledger.jobs.get(subject.key.job_id) else "not seen")

    @asynccontextmanager
    async def _services(self, call: Call) -> AsyncIterator[Services]:
        """What a run works with: real, but for the time that waiting takes."""
        settings = self.world.settings.model_copy(update={**_PATIENCE, **call.settings})
        timeouts, flying = self._timeouts, self.time
        async with open_services(self.world.settings) as services:
            provider: Any = PROVIDERS.get("freepik").open(
                ProviderContext(
                    settings, transport=Network(timeouts), sleep=flying.sleep, clock=flying.clock
                )
            )
            target = required_target(settings).open(
                TargetContext(settings, Network(timeouts), flying.sleep, flying.clock)
            )
            downloader = Downloader(
                DownloadPolicy.from_settings(settings),
                transport=Network(timeouts),
                retry=Retry(sleep=flying.sleep),
            )
            try:
                yield replace(
                    services,
                    settings=settings,
                    store=self._store(call),
                    cutout_route=(provider,),
                    background_route=lambda _: (provider,),
                    target=target,
                    fetch_photo=downloader.fetch,
                )
            finally:
                await provider.aclose()
                await target.aclose()
                await downloader.aclose()

    def _store(self, call: Call) -> ObjectStore:
        return self._bucket if call.operation.startswith("s3.") else self._folder

    # --- the books -----------------------------------------------------------------------

    def spends(self, subject: Subject) -> list[Spend]:
        """What the ledger has of the photo's purchases."""
        return self.ledger.spending.of_job(subject.key.job_id)

    def money(self, subject: Subject) -> str:
        """The same in words."""
        words = [
            _LOST if spend.discarded and spend.state is SpendState.CHARGED else _WORDS[spend.state]
            for spend in self.spends(subject)
        ]
        return " + ".join(words) or NOTHING

    def bill(self, subject: Subject) -> list[Decimal]:
        """What the simulator has charged for the photo. Photos come one after another."""
        return [charge.usd for charge in self.state.freepik.charges[subject.charged_before :]]

    def media(self, subject: Subject) -> tuple[int, int]:
        """How many files the shop has of the photo's picture, and how many stand on products."""
        media = self.ledger.catalogue.media_of_job(subject.key.job_id)
        names = {each.filename for each in media}
        files = self.state.shopify.files.values()
        made = [file for file in files if file.filename in names]
        standing = self._product(subject.key).media_ids
        return len(made), sum(file.id in standing for file in made)


def _paper() -> bytes:
    """A background on which there is nothing."""
    file = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), (235, 235, 235)).save(file, "JPEG")
    return file.getvalue()


def _impatient_bucket(settings: Settings, url: str, trouble: Trouble) -> S3Store:
    """The bucket as the settings open it, with a client that does not wait."""
    store = object_store(
        settings.model_copy(update={"s3_bucket": BUCKET, "aws_endpoint_url_s3": url})
    )
    if not isinstance(store, S3Store):
        raise TypeError("the settings name no bucket")
    store._client.meta.events.register("before-send.s3", impatience(trouble))
    return store
