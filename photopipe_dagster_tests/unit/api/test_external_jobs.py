"""An outside orchestrator brings a job forward, through the API alone."""

import hashlib
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import dagster as dg
import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.model import EXTERNAL
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.unit.api.conftest import ApiClient


def scene(kind="JPEG", size=240, shade=200):
    out = io.BytesIO()
    Image.new("RGB", (size, size), (shade, 190, 180)).save(out, kind)
    return out.getvalue()


PHOTO = scene(shade=90)
KEY = PhotoKey("VWS200433868", hashlib.sha256(PHOTO).hexdigest(), "default")


def cutout(width=240, height=240, alpha=255):
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[height // 4 : height // 2, width // 4 : width // 2] = (90, 60, 30, alpha)
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG")
    return out.getvalue()


PICTURES = {
    "original": (PHOTO, "image/jpeg"),
    "mask": (cutout(), "image/png"),
    "background": (scene(), "image/jpeg"),
    "composite": (scene(size=200), "image/jpeg"),
}
BODIES = {
    "segmentation": {
        "s3Key": KEY.object_key(Stage.MASK),
        "cost": 0.02,
        "metadata": {"width": 1024, "height": 1024, "provider": "freepik"},
    },
    "backgrounds": {
        "s3Key": KEY.object_key(Stage.BACKGROUND),
        "cost": 0.05,
        "metadata": {"theme": "default", "resolution": "2k", "provider": "freepik"},
    },
    "composite": {
        "s3Key": KEY.object_key(Stage.COMPOSITE),
        "metadata": {"width": 2048, "height": 2048, "format": "jpeg"},
    },
    "shopify": {
        "productId": "gid://shopify/Product/123456",
        "mediaId": "gid://shopify/MediaImage/789012",
    },
}
STATUS_AFTER = {
    "segmentation": "BG_GENERATING",
    "backgrounds": "COMPOSITING",
    "composite": "SHOPIFY_PUSH",
    "shopify": "DONE",
}


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"image_max_bytes": 10_000_000})


@pytest.fixture(scope="module")
def instance():
    with dagster_instance() as instance:
        yield instance


@pytest.fixture
def outside(settings, ledger, store, instance):
    """The orchestrator's side: a client, and what it does with it."""
    app = create_app(settings, ledger, store, lineage=Lineage(lambda: instance))
    return Orchestrator(ApiClient(app), ledger.intake.submit(KEY, "webhook").job.id)


class Orchestrator:
    def __init__(self, client, job_id):
        self.client = client
        self.job_id = job_id

    def post(self, path, body=None, **query):
        url = f"/api/jobs/{self.job_id}/{path}"
        return self.client.post(url, json=body, params=query)

    def start(self, **query):
        return self.post("start", **query)

    def upload(self, *names, **other):
        urls = self.start().json()["presignedUrls"]
        for name in names or PICTURES:
            data, content_type = PICTURES[name]
            data = other.get(name, data)
            response = self.client.put(
                urls[name], content=data, headers={"Content-Type": content_type}
            )
            assert response.status_code == 200

    def complete(self, path, **query):
        return self.post(path, BODIES[path], **query)

    def up_to(self, path):
        """Everything until a completion, with it."""
        self.upload()
        for each in BODIES:
            response = self.complete(each)
            assert response.status_code == 200, response.text
            if each == path:
                return response.json()
        raise AssertionError(path)


def error(response, status, code):
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    return response.json()["error"]["message"]


# --- start -------------------------------------------------------------------------------


def test_start_answers_with_urls_for_this_job_alone(outside, ledger):
    response = outside.start(hold=600)
    assert response.status_code == 200
    started = response.json()
    assert (started["jobId"], started["status"]) == (outside.job_id, "QUEUED")
    for name, stage in zip(PICTURES, Stage, strict=False):
        assert KEY.object_key(stage) in started["presignedUrls"][name]
    held = datetime.fromisoformat(started["heldUntil"]) - datetime.now(UTC)
    assert timedelta(seconds=590) < held <= timedelta(seconds=600)
    assert ledger.jobs.require(outside.job_id).run_id == EXTERNAL


def test_an_upload_carries_the_headers_that_the_answer_names(outside):
    started = outside.start().json()
    for name, (data, _) in PICTURES.items():
        url, headers = started["presignedUrls"][name], started["uploadHeaders"][name]
        assert outside.client.put(url, content=data).status_code == 403, "they are required"
        assert outside.client.put(url, content=data, headers=headers).status_code == 200


def test_a_started_job_is_not_dispatched(outside, ledger):
    outside.start()
    assert ledger.dispatches.take(photos_per_dispatch=9, limit=9) == []
    assert ledger.dispatches.abandoned() == []


def test_starting_twice_is_starting_once(outside, ledger):
    first = outside.start().json()
    queued_at = ledger.jobs.require(outside.job_id).queued_at
    assert outside.start().json()["status"] == first["status"]
    assert ledger.jobs.require(outside.job_id).queued_at == queued_at


def test_a_dispatched_job_can_be_taken_until_a_run_has_it(outside, ledger):
    ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert outside.start().status_code == 200
    assert ledger.leases.take([job_lease(outside.job_id)], "a run") == frozenset()


def test_what_a_run_has_is_not_taken(outside, ledger):
    ledger.leases.take([job_lease(outside.job_id)], "a run")
    ledger.transitions.begin(KEY, "a run", again=True)
    assert "the pipeline is at work" in error(outside.start(), 409, "conflict").lower()
    ledger.leases.release("a run")
    message = error(outside.start(), 409, "conflict")
    assert "QUEUED: the pipeline is at work on it" in message
    assert ledger.leases.take([job_lease(outside.job_id)], "another") != frozenset()


def test_what_is_done_cannot_be_started(outside, ledger):
    ledger.transitions.advance(outside.job_id, JobStatus.DONE)
    assert "nothing to start" in error(outside.start(), 409, "conflict")


def test_a_failed_job_is_started_anew(outside, ledger):
    outside.start()
    outside.post("fail", {"errorCode": "UNKNOWN_ERROR", "errorMessage": "It broke."})
    assert outside.start().json()["status"] == "QUEUED"
    assert ledger.jobs.require(outside.job_id).error_code is None


def test_with_no_hold_the_pipeline_takes_over_at_once(outside, ledger):
    started = outside.start(hold=0).json()
    assert (started["status"], started["heldUntil"]) == ("QUEUED", None)
    assert set(started["presignedUrls"]) == set(PICTURES), "the answer has the same shape"
    [dispatch] = ledger.dispatches.take(photos_per_dispatch=9, limit=9)
    assert dispatch.keys == (KEY,)


def test_what_no_hold_means_is_described(outside):
    described = outside.client.get("/openapi.json").json()
    start = described["paths"]["/api/jobs/{job_id}/start"]["post"]
    assert "With `hold=0` the pipeline does all of it" in start["description"]


# --- completions -------------------------------------------------------------------------


def test_a_job_is_brought_to_its_end(outside, ledger, store, instance):
    outside.upload()
    for path, status in STATUS_AFTER.items():
        response = outside.complete(path)
        assert response.status_code == 200, response.text
        assert response.json()["status"] == status
    job = response.json()
    assert job["costs"] == {"segmentation": 0.02, "background": 0.05, "total": 0.07}
    assert job["shopifyProductId"] == BODIES["shopify"]["productId"]
    assert job["shopifyMediaId"] == BODIES["shopify"]["mediaId"]
    assert None not in job["s3Keys"].values()
    assert store.get(KEY.object_key(Stage.ORIGINAL)).data == PHOTO
    for stage in Stage:
        shown = instance.get_materialized_partitions(dg.AssetKey(stage.value))
        assert shown == {KEY.partition_key}
    [media] = ledger.catalogue.media_of_job(outside.job_id)
    assert media.media_id == BODIES["shopify"]["mediaId"]
    assert [step.stage for step in ledger.steps.of_job(outside.job_id)] == list(Stage)
    # It is held by nobody any more.
    assert ledger.leases.take([job_lease(outside.job_id)], "anybody") != frozenset()


@pytest.mark.parametrize("path", list(BODIES))
def test_the_same_call_twice_changes_nothing(outside, ledger, path):
    first = outside.up_to(path)
    spent = ledger.spending.total()
    again = outside.complete(path)
    assert again.status_code == 200
    assert again.json() == first
    assert ledger.spending.total() == spent


def test_a_call_that_died_half_way_is_charged_once(outside, ledger, monkeypatch):
    outside.upload()
    with monkeypatch.context() as broken:
        broken.setattr(ledger.transitions, "advance", lambda *_, **__: 1 / 0)
        assert outside.complete("segmentation").status_code == 500
    with monkeypatch.context() as broken:
        mask_only = ledger.transitions.advance
        broken.setattr(
            ledger.transitions,
            "advance",
            lambda job_id, status, **details: (
                mask_only(job_id, status, **details) if status is JobStatus.SEGMENTING else 1 / 0
            ),
        )
        assert outside.complete("segmentation").status_code == 500
    assert ledger.spending.total() == Decimal("0.02")
    assert outside.complete("segmentation").json()["status"] == "BG_GENERATING"
    assert ledger.spending.total() == Decimal("0.02")


@pytest.mark.parametrize(
    ("done", "path", "allowed"),
    [
        (None, "segmentation", "start"),
        ("start", "backgrounds", "segmentation, fail"),
        ("start", "composite", "segmentation, fail"),
        ("segmentation", "composite", "backgrounds, fail"),
        ("backgrounds", "shopify", "composite, fail"),
    ],
)
def test_out_of_turn_it_is_told_what_is_allowed(outside, done, path, allowed):
    if done == "start":
        outside.start()
    elif done:
        outside.up_to(done)
    message = error(outside.complete(path), 409, "conflict")
    assert message.endswith(f"Allowed now: {allowed}.")


@pytest.mark.parametrize(("uploaded", "missing"), [((), "originals/"), (("original",), "masks/")])
def test_what_is_not_there_is_named(outside, uploaded, missing):
    outside.start()
    if uploaded:
        outside.upload(*uploaded)
    message = error(outside.complete("segmentation"), 409, "not_stored")
    assert missing in message


@pytest.fixture
def photographer():
    """A server that has the photo: its URL, and the answer that it gives, which can be changed."""
    answer = {"status": 200, "body": PHOTO}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer["status"])
            self.send_header("Content-Length", str(len(answer["body"])))
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/photo.jpg?sig=hush", answer
    server.shutdown()
    server.server_close()


@pytest.fixture
def announced(settings, ledger, store, instance, photographer):
    """The orchestrator's side of a photo that is announced with its URL, and not uploaded."""
    url, _ = photographer
    trusting = settings.model_copy(update={"image_url_allowed_hosts": ("127.0.0.1",)})
    app = create_app(trusting, ledger, store, lineage=Lineage(lambda: instance))
    return Orchestrator(ApiClient(app), ledger.intake.submit(KEY, "webhook", image_url=url).job.id)


def test_a_cutout_is_enough_where_the_photo_can_be_fetched(announced, store):
    announced.upload("mask")
    job = announced.complete("segmentation").json()
    assert job["status"] == "BG_GENERATING"
    assert job["s3Keys"]["original"] == KEY.object_key(Stage.ORIGINAL)
    assert store.get(KEY.object_key(Stage.ORIGINAL)).data == PHOTO


def test_a_photo_that_cannot_be_fetched_leaves_the_job_as_it_was(announced, photographer):
    _, answer = photographer
    announced.upload("mask")
    answer["body"] = scene(shade=10)
    message = error(announced.complete("segmentation"), 422, "validation_error")
    assert "not the one that was announced" in message
    answer["status"] = 404
    message = error(announced.complete("segmentation"), 422, "validation_error")
    assert "hush" not in message
    answer |= {"status": 200, "body": PHOTO}
    assert announced.complete("segmentation").json()["status"] == "BG_GENERATING"


def test_another_key_is_refused(outside):
    outside.upload()
    body = BODIES["segmentation"] | {"s3Key": "masks/another/1.png"}
    message = error(outside.post("segmentation", body), 422, "validation_error")
    assert KEY.object_key(Stage.MASK) in message


@pytest.mark.parametrize(
    ("path", "uploads", "says"),
    [
        ("segmentation", {"mask": b"no picture"}, "not a PNG"),
        ("segmentation", {"mask": cutout(alpha=0)}, "empty"),
        ("segmentation", {"mask": cutout(width=400)}, "400×240"),
        ("segmentation", {"mask": cutout()[:-200]}, "cannot be used"),
        ("segmentation", {"original": scene()}, "not the one that was announced"),
        ("backgrounds", {"background": b"<html>"}, "JPEG, PNG or WebP"),
        ("backgrounds", {"background": scene()[:-300]}, ""),
    ],
)
def test_what_is_of_no_use_is_refused(outside, ledger, path, uploads, says):
    outside.upload(**uploads)
    if path == "backgrounds":
        outside.complete("segmentation")
    spent = ledger.spending.total()
    assert says in error(outside.complete(path), 422, "validation_error")
    assert ledger.spending.total() == spent


def test_a_png_becomes_the_jpeg_that_the_key_says(outside, store):
    outside.upload(background=scene("PNG"))
    outside.complete("segmentation")
    assert outside.complete("backgrounds").status_code == 200
    kept = store.get(KEY.object_key(Stage.BACKGROUND))
    assert kept.info.content_type == "image/jpeg"
    assert kept.data.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("segmentation", {"cost": -1}),
        ("segmentation", {"cost": 1001}),
        ("segmentation", {"cost": 0.0000001}),
        ("segmentation", {"cost": "NaN"}),
        ("segmentation", {"metadata": {"provider": "x" * 65}}),
        ("segmentation", {"metadata": {"provider": "naïve"}}),
        ("shopify", {"productId": "123456"}),
        ("shopify", {"mediaId": "gid://shopify/Video/1"}),
        ("fail", {"errorCode": "NO_ERROR"}),
        ("fail", {"errorMessage": "a\x00b"}),
        ("fail", {"errorDetails": {"a": "x" * 9000}}),
        ("fail", {"errorDetails": {"a": "\x00"}}),
    ],
)
def test_odd_bodies_are_told(outside, path, change):
    outside.start()
    body = BODIES.get(path, {"errorCode": "API_ERROR", "errorMessage": "x"}) | change
    error(outside.post(path, body), 422, "validation_error")


def test_another_media_for_a_published_job_is_refused(outside):
    outside.up_to("shopify")
    other = BODIES["shopify"] | {"mediaId": "gid://shopify/MediaImage/1"}
    error(outside.post("shopify", other), 409, "conflict")


# --- failure and silence -----------------------------------------------------------------

FAILURE = {
    "errorCode": "API_ERROR",
    "errorMessage": "Freepik API returned 500",
    "errorDetails": {"provider": "freepik", "statusCode": 500},
}


def test_a_failure_is_recorded_and_tried_again_by_the_pipeline(outside, ledger):
    outside.start()
    response = outside.post("fail", FAILURE)
    assert response.status_code == 200
    failed = response.json()
    assert failed["status"] == "FAILED"
    assert {name: failed[name] for name in FAILURE} == FAILURE
    assert failed["retryAt"] is not None
    assert outside.post("fail", FAILURE).json() == failed
    assert ledger.leases.take([job_lease(outside.job_id)], "a run") != frozenset()


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"errorCode": "VALIDATION_ERROR"}, False),
        ({"retryable": False}, False),
        ({"errorCode": "SEGMENTATION_ERROR", "retryable": True}, True),
    ],
)
def test_the_orchestrator_says_whether_another_try_may_help(outside, change, again):
    outside.start()
    failed = outside.post("fail", FAILURE | change).json()
    assert (failed["retryAt"] is not None) is again


def test_what_is_done_or_in_a_run_is_not_failed(outside, ledger):
    ledger.leases.take([job_lease(outside.job_id)], "a run")
    ledger.transitions.begin(KEY, "a run", again=True)
    error(outside.post("fail", FAILURE), 409, "conflict")
    ledger.leases.release("a run")
    ledger.transitions.advance(outside.job_id, JobStatus.DONE)
    error(outside.post("fail", FAILURE), 409, "conflict")


def test_without_dagster_it_works_all_the_same(settings, ledger, store, caplog):
    app = create_app(settings, ledger, store, lineage=Lineage(lambda: None))
    job_id = ledger.intake.submit(KEY, "webhook").job.id
    assert Orchestrator(ApiClient(app), job_id).up_to("shopify")["status"] == "DONE"


def test_a_silent_orchestrator_loses_the_job(outside, ledger, settings):
    outside.start(hold=30)
    late = Ledger(settings.ledger_url, clock=lambda: datetime.now(UTC) + timedelta(seconds=60))
    try:
        [job] = late.dispatches.abandoned()
        assert (job.id, job.run_id) == (outside.job_id, EXTERNAL)
    finally:
        late.close()
