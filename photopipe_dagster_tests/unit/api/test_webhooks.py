import asyncio
import json
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.sources.threejms.webhook import sign
from photopipe_dagster_tests.unit.api.conftest import (
    DIGEST,
    SECRET,
    WEBHOOK,
    ApiClient,
    payload,
    signed,
)


def error(response):
    """Code and message of an error; nothing else may be in it."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message"}
    assert "hush" not in response.text
    assert SECRET not in response.text
    return body["error"]


# --- what is accepted --------------------------------------------------------------------


def test_a_new_photo_is_a_job_and_the_same_again_is_not(post, ledger):
    first = post()
    assert first.status_code == 201
    assert set(first.json()) == {"status", "jobId", "message"}
    assert first.json()["status"] == "created"
    job = ledger.jobs.get(first.json()["jobId"])
    assert job.key == PhotoKey("VWS200433868", DIGEST, "default")
    assert job.image_url == "https://photos.example/abc123.jpg?sig=hush"
    assert job.source == "webhook"

    again = post()
    assert again.status_code == 200
    assert again.json()["status"] == "duplicate"
    assert again.json()["jobId"] == job.id
    assert ledger.jobs.count(JobQuery()) == 1


def test_the_other_event_and_a_theme_are_accepted(post, ledger):
    response = post(event="image.uploaded", theme="luxury", unknown={"field": 1})
    assert response.status_code == 201
    assert ledger.jobs.get(response.json()["jobId"]).key.theme == "luxury"


@pytest.mark.parametrize(
    "sku", ["../../etc/passwd", "ITEM_#2 2012", "a b", "a/b", "..", ".", "%2e%2e/", "酒", "a\\b"]
)
def test_an_odd_sku_is_kept_verbatim_and_stays_in_its_folder(post, ledger, sku):
    response = post(sku=sku)
    assert response.status_code == 201
    key = ledger.jobs.get(response.json()["jobId"]).key
    assert key.sku == sku
    parts = key.object_key("original").split("/")
    assert len(parts) == 3
    assert ".." not in parts[1]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/x+json",
    ],
)
def test_json_goes_by_several_names(client, content_type):
    body = json.dumps(payload()).encode()
    headers = signed(body) | {"Content-Type": content_type}
    assert client.post(WEBHOOK, content=body, headers=headers).status_code == 201


def test_a_signed_timestamp_is_accepted(client):
    body = json.dumps(payload()).encode()
    now = int(time.time())
    headers = {"X-3JMS-Timestamp": str(now), "X-3JMS-Signature": sign(SECRET.encode(), body, now)}
    assert client.post(WEBHOOK, content=body, headers=headers).status_code == 201
    old = now - 1000
    headers = {"X-3JMS-Timestamp": str(old), "X-3JMS-Signature": sign(SECRET.encode(), body, old)}
    assert client.post(WEBHOOK, content=body, headers=headers).status_code == 401


# --- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "signature", [None, "", "sha256=00", "sha256=" + "0" * 64, "md5=" + "0" * 64]
)
def test_only_3jms_gets_in(client, ledger, signature):
    headers = {} if signature is None else {"X-3JMS-Signature": signature}
    response = client.post(WEBHOOK, json=payload(), headers=headers)
    assert response.status_code == 401
    assert error(response)["code"] == "invalid_signature"
    assert ledger.jobs.count(JobQuery()) == 0


def test_the_signature_is_of_these_very_bytes(client):
    body = json.dumps(payload()).encode()
    response = client.post(WEBHOOK, content=body + b" ", headers=signed(body))
    assert response.status_code == 401
    response = client.post(WEBHOOK, content=body, headers=signed(body, "another-secret"))
    assert response.status_code == 401


def test_a_long_body_is_refused_before_it_is_hashed(client):
    body = b" " * (64 * 1024 + 1)
    response = client.post(WEBHOOK, content=body, headers={"X-3JMS-Signature": "sha256=00"})
    assert response.status_code == 413
    assert error(response)["code"] == "body_too_large"
    longest = json.dumps(payload()).encode().ljust(64 * 1024)
    assert client.post(WEBHOOK, content=longest, headers=signed(longest)).status_code == 201


def test_a_long_body_without_a_length_is_refused_too(client):
    response = client.post(WEBHOOK, content=iter([b" " * 40_000] * 2), headers=signed(b""))
    assert response.status_code == 413
    lying = {"Content-Length": "9" * 500, "X-3JMS-Signature": "sha256=00"}
    assert client.post(WEBHOOK, content=b"{}", headers=lying).status_code == 413


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_read(client, content_type):
    body = json.dumps(payload()).encode()
    headers = signed(body) | {"Content-Type": content_type}
    response = client.post(WEBHOOK, content=body, headers=headers)
    assert response.status_code == 415
    assert error(response)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"event=image.created",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"text"',
        b'{"event": NaN}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"1" * 10_000,
    ],
)
def test_what_is_no_json_object_is_refused(client, body):
    response = client.post(WEBHOOK, content=body, headers=signed(body))
    assert response.status_code == 400
    assert error(response)["code"] == "invalid_json"


@pytest.mark.parametrize("event", [..., None, "", "image.deleted", 7, ["image.created"]])
def test_other_events_are_refused(post, event):
    response = post(event=event)
    assert response.status_code == 422
    assert error(response)["code"] == "unsupported_event"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sku": ...}, "sku: is missing"),
        ({"sku": ""}, "sku:"),
        ({"sku": "   "}, "SKU is empty"),
        ({"sku": 7}, "sku:"),
        ({"sku": "x" * 300}, "sku:"),
        ({"sku": "酒" * 100}, "SKU has 100 characters"),
        ({"sku": "a\nb"}, "SKU"),
        ({"sku": "a\x00b"}, "SKU"),
        ({"imageUrl": ...}, "imageUrl: is missing"),
        ({"imageUrl": "photo.jpg"}, "URL"),
        ({"imageUrl": "javascript:alert(1)"}, "URL"),
        ({"imageUrl": "https://127.0.0.1/"}, "not on the public internet"),
        ({"imageUrl": "https://me:hush@photos.example/"}, "password"),
        ({"sha256": ...}, "sha256: is missing"),
        ({"sha256": "abc123def456..."}, "sha256:"),
        ({"sha256": "g" * 64}, "sha256:"),
        ({"sha256": DIGEST + "00"}, "sha256:"),
        ({"theme": "seaside"}, "theme: 'seaside' is not one of default"),
        ({"theme": "../x"}, "theme:"),
    ],
)
def test_what_is_wrong_with_a_field_is_told(post, ledger, fields, words):
    response = post(**fields)
    assert response.status_code == 422
    assert words in error(response)["message"]
    assert ledger.jobs.count(JobQuery()) == 0


def test_the_beginning_of_a_digest_is_for_development_only(post, settings, ledger, store):
    assert post(sha256="abc123def456").status_code == 201
    production = Settings(
        _env_file=None,
        PHOTOPIPE_ENV="production",
        data_dir=settings.data_dir,
        threejms_webhook_secret=SECRET,
    )
    client = ApiClient(create_app(production, ledger, store))
    body = json.dumps(payload(sha256="abc123def456")).encode()
    response = client.post(WEBHOOK, content=body, headers=signed(body))
    assert response.status_code == 422
    assert "production needs all 64" in error(response)["message"]


def test_development_without_a_secret_says_so_in_each_answer(tmp_path, ledger, store):
    open_door = Settings(_env_file=None, data_dir=tmp_path)
    client = ApiClient(create_app(open_door, ledger, store))
    response = client.post(WEBHOOK, json=payload())
    assert response.status_code == 201
    assert "not verified" in response.headers["X-Photopipe-Warning"]


def test_production_without_a_secret_does_not_start(tmp_path, ledger, store):
    settings = Settings(
        _env_file=None, PHOTOPIPE_ENV="production", data_dir=tmp_path, threejms_webhook_secret=","
    )
    with pytest.raises(ConfigurationError):
        create_app(settings, ledger, store)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "event": st.just("image.created") | _json,
        "sku": st.text() | _json,
        "imageUrl": st.just("https://photos.example/1.jpg") | st.text() | _json,
        "sha256": st.just(DIGEST) | st.text("0123456789abcdefABCDEFg") | _json,
        "takenAt": st.just("2026-11-01T12:00:00Z") | st.datetimes().map(str) | _json,
        "theme": st.just("kitchen") | _json,
    },
)


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
@given(_fields.map(lambda fields: json.dumps(payload(**fields)).encode()) | st.binary())
def test_no_body_at_all_breaks_the_webhook(client, body):
    response = client.post(WEBHOOK, content=body, headers=signed(body))
    assert response.status_code in (200, 201, 400, 422)


# --- over a real server ------------------------------------------------------------------


@pytest.fixture
def server(settings, ledger, store):
    app = create_app(settings, ledger, store)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        assert server.started
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


async def test_fifty_at_once_are_one_job(server, ledger):
    body = json.dumps(payload()).encode()
    async with httpx.AsyncClient(base_url=server, trust_env=False, timeout=30) as client:
        responses = await asyncio.gather(
            *(client.post(WEBHOOK, content=body, headers=signed(body)) for _ in range(50))
        )
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200] * 49 + [201]
    assert len({response.json()["jobId"] for response in responses}) == 1
    assert ledger.jobs.count(JobQuery()) == 1


async def test_an_endless_body_is_cut_off(server):
    async def endless():
        while True:
            yield b" " * 10_000

    async with httpx.AsyncClient(base_url=server, trust_env=False, timeout=30) as client:
        try:
            async with asyncio.timeout(20):
                response = await client.post(WEBHOOK, content=endless(), headers=signed(b""))
        except httpx.TransportError:
            return  # the server closed the connection while it was still being sent to
    assert response.status_code == 413


@pytest.mark.parametrize("taken", ["", "yesterday", 7])
def test_an_optional_field_that_cannot_be_read_is_left_out_with_a_warning(post, ledger, taken):
    for status in (201, 200):
        response = post(takenAt=taken, updatedAt="2026-11-01t12:00:00z")
        assert response.status_code == status
        (warning,) = response.json()["warnings"]
        assert warning.startswith("takenAt: must be a moment in ISO 8601")
    assert ledger.jobs.get(response.json()["jobId"]).taken_at is None


# --- JSON as other programs write it -----------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_signed_and_ignored(client, encoding):
    body = json.dumps(payload()).encode(encoding)
    assert client.post(WEBHOOK, content=body, headers=signed(body)).status_code == 201
    unsigned = signed(body.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe"))
    assert client.post(WEBHOOK, content=body, headers=unsigned).status_code == 401


@pytest.mark.parametrize(
    ("field", "status"),
    [("title", 201), ("title\ud83e", 201), ("sku", 422), ("imageUrl", 422), ("theme", 422)],
)
def test_a_text_cut_within_a_character_counts_where_it_is_needed(post, field, status):
    response = post(**{field: "Robot \ud83e"})
    assert response.status_code == status
    if status == 422:
        assert field in error(response)["message"]
