"""Whatever comes in, the answer is one: 2xx or 4xx, in the one shape that errors have."""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster_tests.unit.api.conftest import DIGEST, WEBHOOK, payload, signed

FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.just("\x00")
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = ("event", "sku", "imageUrl", "sha256", "takenAt", "theme")
ROUTES = ("start", "segmentation", "backgrounds", "composite", "shopify", "fail", "retry")
PLAUSIBLE = {
    "s3Key": f"masks/A/{DIGEST}.png",
    "cost": 0.02,
    "metadata": {"provider": "freepik"},
    "productId": "gid://shopify/Product/1",
    "mediaId": "gid://shopify/MediaImage/1",
    "errorCode": "API_ERROR",
    "errorMessage": "It broke.",
    "errorDetails": {"a": 1},
    "retryable": True,
}


def answered(response):
    assert 200 <= response.status_code < 300 or 400 <= response.status_code < 500, response.text
    if response.status_code >= 400:
        error = response.json()["error"]
        assert set(error) == {"code", "message"}
        assert "Traceback" not in error["message"]
    return True


def encoded(value):
    return json.dumps(value).encode(errors="surrogatepass")


@pytest.fixture
def job(ledger):
    return ledger.intake.submit(PhotoKey("A", DIGEST, "default"), "submit").job


@FUZZ
@given(body=st.binary(max_size=300))
def test_webhooks_of_any_bytes(client, body):
    assert answered(client.post(WEBHOOK, content=body, headers=signed(body)))


@FUZZ
@given(changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3), more=JSON)
def test_webhooks_with_any_values(client, changes, more):
    body = encoded(payload() | changes | {"more": more})
    assert answered(client.post(WEBHOOK, content=body, headers=signed(body)))


@FUZZ
@given(
    signature=st.one_of(
        st.binary(max_size=90), st.from_regex(rb"sha256=[0-9a-f]{60,70}", fullmatch=True)
    ),
    timestamp=st.binary(max_size=20),
)
def test_webhooks_with_any_signature(client, signature, timestamp):
    headers = {"X-3JMS-Signature": signature, "X-3JMS-Timestamp": timestamp}
    response = client.post(WEBHOOK, content=encoded(payload()), headers=headers)
    assert answered(response)
    assert response.status_code == 401


@FUZZ
@given(route=st.sampled_from(ROUTES), body=JSON, hold=st.text(max_size=8))
def test_routes_with_any_body(client, job, route, body, hold):
    response = client.post(
        f"/api/jobs/{job.id}/{route}",
        content=encoded(body),
        headers={"Content-Type": "application/json"},
        params={"hold": hold} if hold else None,
    )
    assert answered(response)


@FUZZ
@given(
    route=st.sampled_from(ROUTES),
    changes=st.dictionaries(st.sampled_from(sorted(PLAUSIBLE)), JSON, max_size=2),
)
def test_routes_with_nearly_right_bodies(client, job, route, changes):
    response = client.post(
        f"/api/jobs/{job.id}/{route}",
        content=encoded(PLAUSIBLE | changes),
        headers={"Content-Type": "application/json"},
    )
    assert answered(response)


@FUZZ
@given(
    query=st.dictionaries(
        st.sampled_from(("status", "sku", "theme", "limit", "offset", "type", "expiresIn")),
        st.text(max_size=30).filter(lambda text: text.isprintable() or "\x00" in text),
        max_size=4,
    ),
    path=st.sampled_from(("", "/stats", "/{id}", "/{id}/presign")),
)
def test_queries_of_any_kind(client, job, query, path):
    assert answered(client.get(f"/api/jobs{path.format(id=job.id)}", params=query))


@FUZZ
@given(
    prefix=st.sampled_from(("/", "/api/jobs/", "/files/", "/docs/", "/api/")),
    path=st.text(max_size=40),
    method=st.sampled_from(("GET", "POST", "PUT", "DELETE", "PATCH")),
)
def test_paths_of_any_kind(client, prefix, path, method):
    assert answered(client.request(method, prefix + quote(path.encode(errors="replace"))))


@FUZZ
@given(token=st.binary(max_size=60), cookie=st.binary(max_size=60))
def test_credentials_of_any_kind(client, ledger, token, cookie):
    headers = {
        "Authorization": b"Bearer " + bytes(byte for byte in token if byte not in b"\r\n\0"),
        "Cookie": b"photopipe_session=" + bytes(byte for byte in cookie if byte not in b"\r\n\0"),
    }
    assert answered(client.get("/api/jobs", headers=headers))
    assert answered(client.get("/api/jobs", headers={"Cookie": headers["Cookie"]}))
