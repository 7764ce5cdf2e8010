"""Events for other programs: signed, sent until they are taken, never to where they must not."""

import base64
import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import dagster as dg
import pytest

from photopipe_dagster.core.errors import ConfigurationError, NetworkError, PhotoRejectedError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.events import events_sensor
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.deliveries import DeliveryState
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.webhooks.endpoints import endpoints
from photopipe_dagster.operations.webhooks.sender import WAITS, WebhookSender
from photopipe_dagster_tests.support.ledgers import new_ledger

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now


class Receiver:
    """A program that is told: what it got, and what it answers."""

    def __init__(self):
        self.got = []
        self.status = 204
        self.headers = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((dict(self.headers.items()), body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in/path-that-is-secret"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def settings(tmp_path, receiver):
    return configured(tmp_path, receiver.url)


@pytest.fixture
def ledger(settings, clock):
    new_ledger(settings.data_dir)
    ledger = Ledger(settings.ledger_url, clock=clock)
    yield ledger
    ledger.close()


def configured(tmp_path, *urls, **other):
    values = {
        "data_dir": tmp_path,
        "event_webhook_urls": ", ".join(urls),
        "event_webhook_secrets": SECRET,
        "image_url_allowed_hosts": ("127.0.0.1",),
    }
    return Settings(_env_file=None, **values | other)


async def send(settings, ledger):
    async with WebhookSender(settings, ledger) as sender:
        return await sender.send_due()


def publish(ledger, sku="A"):
    key = PhotoKey(sku, DIGEST, "default")
    ledger.intake.submit(key, "webhook", image_url="https://photos.example/1.jpg?sig=hush")
    ledger.transitions.advance(key.job_id, JobStatus.DONE, published=("product", "media"))
    return key.job_id


async def test_what_becomes_of_a_job_is_told_and_signed(settings, ledger, receiver):
    job_id = publish(ledger)
    assert await send(settings, ledger) == (1, 0)
    [(headers, body)] = receiver.got
    told = json.loads(body)
    assert told["type"] == "job.published"
    assert datetime.fromisoformat(told["timestamp"]).tzinfo is not None
    assert (told["data"]["jobId"], told["data"]["mediaId"]) == (job_id, "media")
    assert b"hush" not in body
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["content-type"] == "application/json"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert await send(settings, ledger) == (0, 0), "it is told once"


async def test_each_end_of_a_job_is_an_event_and_what_is_tried_again_is_none(
    settings, ledger, receiver
):
    def job(sku):
        key = PhotoKey(sku, DIGEST, "default")
        return ledger.intake.submit(key, "webhook").job.id

    ledger.transitions.fail(job("again"), NetworkError("No answer."))
    ledger.transitions.fail(job("bad"), PhotoRejectedError("No picture."))
    ledger.transitions.cancel(job("stopped"), by="Ann")
    for sku in ("looked at", "rejected"):
        ledger.transitions.advance(job(sku), JobStatus.SHOPIFY_PUSH)
        ledger.transitions.hold(job(sku), ["Look."], "1" * 64)
    ledger.reviews.reject(job("rejected"), by="Ann", reason="dull")
    ledger.transitions.unpublished(publish(ledger))
    await send(settings, ledger)
    told = [(json.loads(body)["type"], json.loads(body)["data"]["sku"]) for _, body in receiver.got]
    assert sorted(told) == [
        ("job.cancelled", "stopped"),
        ("job.failed", "bad"),
        ("job.published", "A"),
        ("job.rejected", "rejected"),
        ("job.review_waiting", "looked at"),
        ("job.review_waiting", "rejected"),
        ("job.unpublished", "A"),
    ]


async def test_what_is_not_taken_is_sent_again_later_as_it_was(settings, ledger, receiver, clock):
    publish(ledger)
    receiver.status = 500
    assert await send(settings, ledger) == (0, 1)
    assert await send(settings, ledger) == (0, 0), "not before its time"
    clock.now += WAITS[0] * 1.2
    receiver.status = 200
    assert await send(settings, ledger) == (1, 0)
    (first, body), (second, again) = receiver.got
    assert again == body
    assert second["webhook-id"] == first["webhook-id"]
    assert second["webhook-timestamp"] != first["webhook-timestamp"]
    assert second["webhook-signature"] != first["webhook-signature"]


async def test_waits_grow_and_are_as_long_as_is_asked(settings, ledger, receiver, clock):
    publish(ledger)
    receiver.status, receiver.headers = 503, {"Retry-After": "3600"}
    await send(settings, ledger)
    [delivery] = ledger.deliveries.find(None, limit=9)
    assert delivery.due_at == clock.now + timedelta(hours=1)
    receiver.headers = {}
    clock.now += timedelta(hours=2)
    await send(settings, ledger)
    [delivery] = ledger.deliveries.find(None, limit=9)
    assert WAITS[1] <= delivery.due_at - clock.now <= WAITS[1] * 1.1


async def test_what_nobody_takes_becomes_a_dead_letter_and_can_be_sent_again(
    settings, ledger, receiver, clock
):
    publish(ledger)
    receiver.status = 500
    for _ in range(len(WAITS) + 1):
        await send(settings, ledger)
        clock.now += timedelta(days=2)
    assert len(receiver.got) == len(WAITS) + 1
    assert await send(settings, ledger) == (0, 0)
    [dead] = ledger.deliveries.find(DeliveryState.DEAD, limit=9)
    assert (dead.status, dead.says) == (500, "It answered 500.")
    receiver.status = 200
    ledger.deliveries.retry(dead.id)
    assert await send(settings, ledger) == (1, 0)
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {dead.message_id}


async def test_an_endpoint_that_is_gone_is_sent_it_once(settings, ledger, receiver):
    publish(ledger)
    receiver.status = 410
    await send(settings, ledger)
    [dead] = ledger.deliveries.find(DeliveryState.DEAD, limit=9)
    assert (dead.attempts, dead.status) == (1, 410)


async def test_one_endpoint_that_fails_keeps_nothing_from_another(tmp_path, ledger, receiver):
    other = Receiver()
    settings = configured(tmp_path, receiver.url, other.url)
    receiver.status = 500
    publish(ledger)
    assert await send(settings, ledger) == (1, 1)
    assert len(other.got) == 1
    other.server.shutdown()
    other.server.server_close()


async def test_only_what_is_asked_for_is_told(tmp_path, ledger, receiver):
    settings = configured(tmp_path, receiver.url, event_webhook_types=("job.failed",))
    publish(ledger)
    assert await send(settings, ledger) == (0, 0)
    assert receiver.got == []


async def test_without_endpoints_events_are_forgotten(tmp_path, ledger, receiver):
    publish(ledger)
    assert await send(configured(tmp_path), ledger) == (0, 0)
    assert ledger.deliveries.new_events(9) == []
    assert ledger.deliveries.find(None, limit=9) == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "http://169.254.169.254/latest", "https://[::1]/x", "ftp://a/x"]
)
async def test_nothing_is_sent_into_our_own_network(tmp_path, ledger, receiver, url):
    publish(ledger)
    settings = configured(tmp_path, url, image_url_allowed_hosts=())
    assert await send(settings, ledger) == (0, 1)
    [delivery] = ledger.deliveries.find(None, limit=9)
    assert "public internet" in delivery.says or "https://" in delivery.says


async def test_a_name_that_leads_into_our_own_network_is_refused(tmp_path, ledger):
    publish(ledger)
    settings = configured(tmp_path, "https://hooks.example/x", image_url_allowed_hosts=())

    async def inside(*_):
        return ["10.0.0.1"]

    async with WebhookSender(settings, ledger, resolver=inside) as sender:
        assert await sender.send_due() == (0, 1)
    [delivery] = ledger.deliveries.find(None, limit=9)
    assert "hooks.example is not on the public internet" in delivery.says


async def test_a_redirect_is_not_followed(settings, ledger, receiver):
    other = Receiver()
    publish(ledger)
    receiver.status, receiver.headers = 307, {"Location": other.url}
    assert await send(settings, ledger) == (0, 1)
    assert other.got == []
    other.server.shutdown()
    other.server.server_close()


async def test_no_secret_is_shown(tmp_path, ledger, receiver, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.status = 500
    settings = configured(tmp_path, receiver.url, "http://127.0.0.1:1/path-that-is-secret")
    publish(ledger)
    await send(settings, ledger)
    shown = caplog.text + repr(settings) + repr(ledger.deliveries.find(None, limit=9))
    assert "path-that-is-secret" not in shown
    assert SECRET not in shown
    assert "did not take" in caplog.text


@pytest.mark.parametrize(
    ("urls", "secrets", "says"),
    [
        ("https://a/x", "", "0 secrets for 1"),
        ("https://a/x,https://b/x,https://c/x", f"{SECRET},{SECRET}", "2 secrets for 3"),
        ("https://a/x", "whsec_c2hvcnQ=", "Secret 1 .* 24 to 64"),
        ("https://a/x", "not base64", "Secret 1"),
    ],
)
def test_a_secret_that_cannot_work_is_named(urls, secrets, says):
    settings = Settings(
        _env_file=None, event_webhook_urls=urls, event_webhook_secrets=secrets or None
    )
    with pytest.raises(ConfigurationError, match=says) as refused:
        endpoints(settings)
    assert secrets == "" or secrets not in str(refused.value)


def test_the_sensor_sends_what_is_due(tmp_path, receiver, monkeypatch):
    for name, value in {
        "DATA_DIR": str(tmp_path),
        "EVENT_WEBHOOK_URLS": receiver.url,
        "EVENT_WEBHOOK_SECRETS": SECRET,
        "IMAGE_URL_ALLOWED_HOSTS": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    new_ledger(tmp_path)
    resource = PhotopipeResource()
    publish(resource.ledger)
    [skipped] = events_sensor(dg.build_sensor_context(), photopipe=resource)
    assert skipped.skip_message == "1 delivered, 0 to be tried again."
    assert len(receiver.got) == 1
    resource.ledger.close()
