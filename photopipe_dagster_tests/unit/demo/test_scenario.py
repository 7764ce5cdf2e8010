"""The demo's steps over the real simulators, API, ledger and store; only Dagster is played."""

import io
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
from PIL import Image
from rich.console import Console

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.demo.dagster_client import DagsterClient
from photopipe_dagster.demo.environment import GivenSettings
from photopipe_dagster.demo.photos import DemoPhoto, Subject
from photopipe_dagster.demo.sandbox_client import SandboxClient
from photopipe_dagster.demo.scenario import DemoError, Demonstration, World
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import running_sandbox
from photopipe_dagster.sources.threejms.plugin import POLLING
from photopipe_dagster.storage.factory import object_store

SECRET = "signs the webhooks of this test"


def picture(kind: str, colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA" if kind == "PNG" else "RGB", (64, 64), colour).save(file, kind)
    return file.getvalue()


PHOTOS = [
    DemoPhoto(Subject("MUG#1", "Mug", "kitchen", ""), picture("JPEG", "red")),
    DemoPhoto(Subject("HAT", "Hat", "luxury", ""), picture("JPEG", "blue")),
]


class PlayedDagster:
    """Polls and finishes jobs whenever the demo waits, as the daemon and its runs would."""

    def __init__(self, ledger, store, sandbox) -> None:
        self.ledger = ledger
        self.store = store
        self.sandbox = sandbox
        self.publishes_again = False
        self.polls = True
        self.runs = True
        self.run_status = "SUCCESS"

    def tick(self, _seconds: float = 0) -> None:
        if self.polls:
            httpx.get(f"{self.sandbox.threejms_url}/photos", trust_env=False)
            for photo in self.sandbox.state.threejms.photos():
                self.ledger.intake.submit(PhotoKey(photo.sku, photo.sha256, "default"), "poll")
            self.ledger.watermarks.set(POLLING.watermark, "2026-11-01T00:00:00+00:00")
        if self.runs:
            for job in self.ledger.jobs.find(JobQuery(), limit=100):
                if job.status is not JobStatus.DONE:
                    self.finish(job)

    def finish(self, job) -> None:
        for stage, kind in (
            (Stage.ORIGINAL, "JPEG"),
            (Stage.MASK, "PNG"),
            (Stage.BACKGROUND, "JPEG"),
            (Stage.COMPOSITE, "JPEG"),
        ):
            key = job.key.object_key(stage)
            if self.store.head(key) is None:
                self.store.put(key, picture(kind, "green"), content_type=f"image/{kind.lower()}")
        shop = self.sandbox.state.shopify
        product = next(p for p in shop.products.values() if p.variants[0].sku == job.key.sku)
        file = shop.add_file("http://127.0.0.1:9/x", f"{job.id}.jpg", "")
        product.media_ids.append(file.id)
        self.ledger.transitions.advance(job.id, JobStatus.DONE, published=(product.id, file.id))

    def client(self, _url: str) -> DagsterClient:
        def answer(request: httpx.Request) -> httpx.Response:
            document = request.content.decode()
            if "Launch" in document:
                if self.publishes_again:
                    self.finish(self.ledger.jobs.find(JobQuery(), limit=1)[0])
                data = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "run-1"}}}
            elif "Status" in document:
                data = {"runOrError": {"status": self.run_status}}
            else:
                data = {"assetNodeOrError": {"partitionKeys": ["a", "b"]}}
            return httpx.Response(200, json={"data": data})

        return DagsterClient("http://dagster.test", httpx.MockTransport(answer))


@pytest.fixture
def stage(tmp_path):
    """Everything that a demonstration needs, and the one who plays Dagster."""
    settings = GivenSettings(
        data_dir=tmp_path,
        threejms_webhook_secret=SECRET,
        image_url_allowed_hosts="127.0.0.1",
        public_base_url="http://api.test",
    )
    ledger, store = Ledger.open(settings), object_store(settings)
    api = httpx.ASGITransport(create_app(settings, ledger, store))
    said = io.StringIO()
    with (
        running_sandbox(SandboxConfig(webhook_secret=SECRET, transport=api)) as sandbox,
        SandboxClient(sandbox.url) as sandbox_client,
    ):
        dagster = PlayedDagster(ledger, store, sandbox)
        world = World(
            settings=settings,
            ledger=ledger,
            store=store,
            stack=SimpleNamespace(wait_until_ready=lambda: None, check=lambda: None),
            sandbox_client=sandbox_client,
            dagster_url="http://dagster.test",
            sheet=tmp_path / "sheet.png",
            ask_dagster=dagster.client,
        )

        def demonstration(**changes) -> Demonstration:
            return Demonstration(
                replace(world, **changes),
                PHOTOS,
                Console(file=said, width=200),
                sleep=dagster.tick,
                clock=iter(range(0, 1_000_000, 20)).__next__,
            )

        yield SimpleNamespace(
            demonstration=demonstration, dagster=dagster, said=said, world=world, sandbox=sandbox
        )
    ledger.close()


def test_photos_go_in_by_webhook_and_by_poll_and_everything_holds_twice(stage):
    assert stage.demonstration().run()
    jobs = stage.world.ledger.jobs.find(JobQuery(), limit=100)
    assert sorted((job.key.sku, job.key.theme, job.source) for job in jobs) == [
        ("HAT", "default", "poll"),
        ("HAT", "luxury", "webhook"),
        ("MUG#1", "default", "poll"),
        ("MUG#1", "kitchen", "webhook"),
    ]
    said = stage.said.getvalue()
    assert "2 signed webhooks pushed: 2 new, 0 known." in said
    assert "2 signed webhooks pushed: 0 new, 2 known." in said
    assert "Everything held" in said
    assert "✗" not in said
    with Image.open(stage.world.sheet) as sheet:
        assert sheet.height > 4 * 300


def test_publishing_twice_is_seen(stage):
    stage.dagster.publishes_again = True
    assert not stage.demonstration().run()
    said = stage.said.getvalue()
    assert "✗ 1 more pictures on products" in said
    assert "That is wrong." in said


def test_refused_webhooks_end_the_demo(stage):
    # Signed with a secret that the API does not know.
    object.__setattr__(stage.sandbox.config, "webhook_secret", "another")
    with pytest.raises(DemoError, match="2 of 2 webhooks were answered with 401"):
        stage.demonstration().run()


def test_a_photo_that_fails_for_good_ends_the_demo_and_is_named(stage):
    def fails(job) -> None:
        if job.status is JobStatus.NEW:
            stage.world.ledger.transitions.fail(job.id, PhotoRejectedError("Too dark."))

    stage.dagster.finish = fails
    with pytest.raises(DemoError, match=r"(?s)failed for good.*HAT in .*VALIDATION_ERROR: Too"):
        stage.demonstration().run()


def test_photos_that_never_end_are_named_after_a_while(stage):
    stage.dagster.runs = False
    with pytest.raises(DemoError, match=r"(?s)Not all .* in 240 s.*HAT in default: NEW"):
        stage.demonstration().run()


def test_a_poll_that_does_not_come_again_ends_the_demo(stage):
    launch = stage.dagster.client

    def client(url: str) -> DagsterClient:
        stage.dagster.polls = False
        return launch(url)

    with pytest.raises(DemoError, match="not polled again"):
        stage.demonstration(ask_dagster=client).run()


def test_a_run_that_fails_ends_the_demo(stage):
    stage.dagster.run_status = "FAILURE"
    with pytest.raises(DemoError, match=r"run run-1 over all partitions is FAILURE"):
        stage.demonstration().run()
