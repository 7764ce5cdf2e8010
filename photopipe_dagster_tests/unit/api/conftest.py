"""The API over a ledger in a file and a store in a folder."""

import asyncio
import json

import httpx
import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.sources.threejms.webhook import sign
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.ledgers import new_ledger

SECRET = "webhook-secret-of-a-test"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
WEBHOOK = "/api/webhooks/3jms/images"


class ApiClient:
    """Sends requests to an application without a network, one after another.

    ``address`` is whose they are, ``name`` the host that they are for.
    """

    def __init__(self, app, *, address="127.0.0.1", name="localhost"):
        self._app = app
        self._address = address
        self._base_url = f"http://{name}"

    def request(self, method, url, *, content=None, **options):
        """Any request; ``content`` may be an iterator, which is sent in chunks."""
        return asyncio.run(self._send(method, url, _chunked(content), options))

    async def _send(self, method, url, content, options):
        transport = httpx.ASGITransport(
            self._app, raise_app_exceptions=False, client=(self._address, 123)
        )
        async with httpx.AsyncClient(transport=transport, base_url=self._base_url) as client:
            return await client.request(method, url, content=content, **options)

    def get(self, url, **options):
        return self.request("GET", url, **options)

    def head(self, url, **options):
        return self.request("HEAD", url, **options)

    def post(self, url, **options):
        return self.request("POST", url, **options)

    def put(self, url, **options):
        return self.request("PUT", url, **options)


def _chunked(content):
    if content is None or isinstance(content, bytes):
        return content

    async def chunks():
        for chunk in content:
            yield chunk

    return chunks()


def payload(**fields):
    """A webhook's content; fields that are given as ... are left out."""
    content = {
        "event": "image.created",
        "sku": "VWS200433868",
        "imageUrl": "https://photos.example/abc123.jpg?sig=hush",
        "sha256": DIGEST,
        "takenAt": "2026-11-01T12:00:00Z",
    } | fields
    return {name: value for name, value in content.items() if value is not ...}


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Headers of a genuine webhook."""
    return {
        "Content-Type": "application/json",
        "X-3JMS-Signature": sign(secret.encode(), body),
    }


@pytest.fixture
def settings(tmp_path):
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        threejms_webhook_secret=SECRET,
        url_signing_secret="url-secret-of-a-test",
        public_base_url="http://testserver",
        image_max_bytes=1000,
    )


@pytest.fixture
def ledger(settings):
    new_ledger(settings.data_dir)
    ledger = Ledger.open(settings)
    yield ledger
    ledger.close()


@pytest.fixture
def store(settings):
    return object_store(settings)


@pytest.fixture
def client(settings, ledger, store):
    return ApiClient(create_app(settings, ledger, store))


@pytest.fixture
def post(client):
    """Send a webhook as 3JMS does: signed, the content given by its fields."""

    def send(content=None, **fields):
        body = json.dumps(payload(**fields) if content is None else content).encode()
        return client.post(WEBHOOK, content=body, headers=signed(body))

    return send


@pytest.fixture
def add_job(ledger):
    """Put a job into the ledger."""

    def add(sku="A", theme="default"):
        return ledger.intake.submit(PhotoKey(sku, DIGEST, theme), "submit").job

    return add
