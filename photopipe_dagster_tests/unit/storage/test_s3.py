"""What is S3's own: what its answers mean, and URLs that work."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from photopipe_dagster.core.errors import ErrorCode, StorageError
from photopipe_dagster.storage.s3 import S3Store
from photopipe_dagster_tests.unit.storage.conftest import Answer, Script

KEY = "masks/A%2FB/abc.png"
SECRET_TEXT = "nobody-should-see-this"
WORDS = f"Look at\n https://s3.example/photos?X-Amz-Signature={SECRET_TEXT} for it."
STORED = Answer(200, headers={"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'})

Serve = Callable[..., Script]


def refusal(status: int, code: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>{WORDS}</Message></Error>"
    headers = {"Content-Type": "application/xml", "x-amz-bucket-region": "eu-west-1"}
    return Answer(status, body.encode(), headers)


def calls(store: S3Store) -> dict[str, Callable[[], object]]:
    return {
        "head": lambda: store.head(KEY),
        "get": lambda: store.get(KEY),
        "put": lambda: store.put(KEY, b"x", content_type="image/png"),
        "delete": lambda: store.delete(KEY),
        "list": lambda: list(store.list("masks/")),
        "check": store.check,
    }


@pytest.mark.parametrize(
    ("status", "code", "retryable", "advice"),
    [
        (403, "AccessDenied", False, "s3:ListBucket"),
        (403, "InvalidAccessKeyId", False, "credentials"),
        (403, "ExpiredToken", False, "renew"),
        (404, "NoSuchBucket", False, "Create the bucket"),
        (301, "PermanentRedirect", False, "AWS_REGION"),
        (400, "InvalidRequest", False, "S3_BUCKET"),
        (400, "RequestTimeout", True, "later"),
        (429, "TooManyRequests", True, "later"),
        (500, "InternalError", True, "later"),
        (503, "SlowDown", True, "later"),
    ],
)
def test_no_refusal_reads_as_missing(
    script: Serve, status: int, code: str, retryable: bool, advice: str
) -> None:
    for name, call in calls(script(refusal(status, code)).store()).items():
        with pytest.raises(StorageError) as raised:
            call()
        error = raised.value
        assert error.code is ErrorCode.S3_ERROR
        assert error.details["status"] == status
        if name == "head" and status != 404:  # no body, so no code; a 404 is looked into by GET
            assert error.details["code"] == str(status)
            assert error.retryable is (status >= 429)
        else:
            assert error.details["code"] == code
            assert error.retryable is retryable
            assert advice in error.message
            assert "(Look at https://s3.example/photos for it)" in error.message
        assert "photos" in error.message
        assert SECRET_TEXT not in f"{error} {error.details}"


def test_a_head_that_is_forbidden_explains_the_right_that_is_missing(script: Serve) -> None:
    with pytest.raises(StorageError, match="s3:ListBucket") as raised:
        script(Answer(403)).store().head(KEY)
    assert not raised.value.retryable


def test_only_no_such_key_is_absent(script: Serve) -> None:
    absent = script(refusal(404, "NoSuchKey"))
    assert absent.store().get(KEY) is None
    assert absent.store().head(KEY) is None
    assert [method for method, _ in absent.requests] == ["GET", "HEAD", "GET"]
    absent.store().delete(KEY)

    somebody_else = script(Answer(404, b"<html>not here</html>"))
    for call in calls(somebody_else.store()).values():
        with pytest.raises(StorageError):
            call()


def test_a_missing_bucket_is_no_missing_object(s3_client) -> None:
    for call in calls(S3Store(s3_client, "no-such-bucket")).values():
        with pytest.raises(StorageError, match="Create the bucket") as raised:
            call()
        assert not raised.value.retryable


def test_nobody_answers(script: Serve) -> None:
    for call in calls(script(Answer(200)).store(endpoint_url="http://127.0.0.1:1")).values():
        with pytest.raises(StorageError, match="EndpointConnectionError") as raised:
            call()
        assert raised.value.retryable


def test_without_credentials_it_says_so(script: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = script(Answer(200)).store()
    for call in (*calls(store).values(), lambda: store.presign_get(KEY, 60)):
        with pytest.raises(StorageError, match="no AWS credentials") as raised:
            call()
        assert not raised.value.retryable


def test_an_impossible_bucket_is_a_wrong_setting(s3_client) -> None:
    with pytest.raises(StorageError, match="Check S3_BUCKET") as raised:
        S3Store(s3_client, "not a bucket").get(KEY)
    assert not raised.value.retryable


DATE = {"Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT"}


def test_a_broken_transfer_is_read_again(script: Serve) -> None:
    told = script(Answer(200, b"pict", DATE, length=7), Answer(200, b"picture", DATE))
    found = told.store().get(KEY)
    assert found is not None
    assert found.data == b"picture"
    assert len(told.requests) == 2


@pytest.mark.parametrize(
    "broken",
    [
        Answer(200, b"pict", DATE, length=7),
        Answer(200, b"changed", DATE | {"x-amz-checksum-crc32": "AAAAAA=="}),
    ],
)
def test_a_transfer_that_stays_broken_is_an_error(script: Serve, broken: Answer) -> None:
    told = script(broken)
    with pytest.raises(StorageError, match="Check the network") as raised:
        told.store().get(KEY)
    assert raised.value.retryable
    assert len(told.requests) == 3


def test_a_busy_s3_is_asked_again(script: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    told = script(refusal(503, "SlowDown"), refusal(500, "InternalError"), STORED)
    told.store(max_attempts=3).put(KEY, b"x", content_type="image/png")
    assert len(told.requests) == 3


def test_a_page_of_somebody_else_is_no_object(script: Serve) -> None:
    """A proxy that wants a login answers everything with 200."""
    page = script(Answer(200, b"Log in", {"Content-Type": "text/plain"})).store()
    nothing = script(Answer(200)).store()
    for call in (
        lambda: page.head(KEY),
        lambda: page.get(KEY),
        lambda: nothing.put(KEY, b"x", content_type="image/png"),
    ):
        with pytest.raises(StorageError, match="AWS_ENDPOINT_URL_S3") as raised:
            call()
        assert raised.value.retryable


def test_an_s3_that_does_not_answer_is_not_asked_for_hours(script: Serve) -> None:
    told = script(refusal(503, "SlowDown"))
    with pytest.raises(StorageError):
        told.store().get(KEY)
    assert len(told.requests) == 1


def test_check_notices_somebody_else(script: Serve) -> None:
    told = script(STORED, Answer(200, b"hello", DATE), Answer(204))
    with pytest.raises(StorageError, match="AWS_ENDPOINT_URL_S3"):
        told.store().check()
    assert [method for method, _ in told.requests] == ["PUT", "GET", "DELETE"]
    assert "/photos/.photopipe/probe-" in told.requests[0][1]


def test_a_put_carries_what_s3_verifies(script: Serve) -> None:
    told = script(STORED)
    told.store().put(KEY, b"picture", content_type="image/png", metadata={"note": "50% é"})
    (headers,) = told.headers
    digest = base64.b64encode(hashlib.sha256(b"picture").digest()).decode()
    assert headers["x-amz-checksum-sha256"] == digest
    assert headers["x-amz-meta-note"] == "50%25%20%C3%A9"
    assert headers["content-type"] == "image/png"
    assert told.requests == [("PUT", "/photos/masks/A%252FB/abc.png")]


def test_what_others_uploaded_is_read(s3: S3Store) -> None:
    url = s3.presign_put(KEY, 60, content_type="image/png")
    headers = {"Content-Type": "image/png", "x-amz-meta-Camera": "A b"}
    assert httpx.put(url, content=b"x", headers=headers, trust_env=False).status_code == 200
    info = s3.head(KEY)
    assert info is not None
    assert info.metadata == {"camera": "A b"}


def test_more_than_a_page_is_listed(s3: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    keys = [f"masks/{number}" for number in range(5)]
    for key in keys:
        s3.put(key, b"", content_type="image/png")
    assert [info.key for info in s3.list("masks/")] == keys


def test_signed_urls_read_and_store(s3: S3Store) -> None:
    put = s3.presign_put(KEY, 60, content_type="image/png")
    get = s3.presign_get(KEY, 90)
    with httpx.Client(trust_env=False) as client:
        stored = client.put(put, content=b"picture", headers={"Content-Type": "image/png"})
        assert stored.status_code == 200
        answer = client.get(get)
    assert (answer.content, answer.headers["content-type"]) == (b"picture", "image/png")
    query = parse_qs(urlsplit(get).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["90"]
    assert "content-type" in parse_qs(urlsplit(put).query)["X-Amz-SignedHeaders"][0]


def test_its_name_is_the_bucket(s3_client) -> None:
    assert repr(S3Store(s3_client, "photos")) == "S3Store('photos')"
