from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from photopipe_dagster_tests.unit.sandbox.conftest import picture

KEY = {"authorization": "Token sandbox-3jms-key"}
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_polling_pages_in_order_of_update_with_since_inclusive(http, sandbox):
    for minute in (3, 1, 2, 0):
        sandbox.state.threejms.add(
            f"SKU-{minute}", picture(), updated_at=NOON + timedelta(minutes=minute)
        )
    since = (NOON + timedelta(minutes=1)).isoformat()

    first = http.get("/threejms/photos", params={"since": since, "page_size": 2}, headers=KEY)
    second = http.get(first.json()["next"], headers=KEY)

    skus = [photo["sku"] for page in (first, second) for photo in page.json()["results"]]
    assert skus == ["SKU-1", "SKU-2", "SKU-3"]
    assert second.json()["next"] is None


@pytest.mark.parametrize(
    "header", [{}, {"authorization": "Token wrong"}, {"authorization": "Bearer sandbox-3jms-key"}]
)
def test_a_wrong_token_is_refused(http, header):
    assert http.get("/threejms/photos", headers=header).status_code == 401


@pytest.mark.parametrize("query", ["since=yesterday", "since=2026-01-01T00:00:00", "page=0"])
def test_a_bad_query_is_refused(http, query):
    assert http.get(f"/threejms/photos?{query}", headers=KEY).status_code == 400


def test_past_the_last_page_is_404(http):
    assert http.get("/threejms/photos?page=2", headers=KEY).status_code == 404


def test_photos_added_over_http_are_listed_and_downloaded_verbatim(http):
    data = picture(kind="PNG")

    added = http.post(
        "/_sandbox/threejms/photos", data={"sku": "A #1/x"}, files={"file": ("p.jpg", data)}
    )
    [listed] = http.get("/threejms/photos", headers=KEY).json()["results"]
    file = http.get(listed["url"])

    assert added.status_code == 201
    assert listed["sku"] == "A #1/x"
    assert listed["sha256"] == hashlib.sha256(data).hexdigest()
    assert file.content == data
    assert file.headers["content-type"] == "image/png"  # though the name says .jpg
    assert len(http.get("/_sandbox/threejms/photos").json()) == 1


def test_it_can_lie_about_the_digest_and_the_type(http, sandbox):
    photo = sandbox.state.threejms.add(
        "A", b"<html>", "text/html", claimed_sha256="0" * 64, taken_at=NOON
    )

    [listed] = http.get("/threejms/photos", headers=KEY).json()["results"]

    assert listed["sha256"] == "0" * 64
    assert listed["taken_at"] == "2026-11-01T12:00:00.000Z"
    assert http.get(listed["url"]).headers["content-type"].startswith("text/html")
    assert http.get(f"/threejms/files/x{photo.id}.jpg").status_code == 404


def test_a_push_is_signed_over_the_raw_body(http, sandbox, receiver):
    target, received = receiver
    photo = sandbox.state.threejms.add("SKU-1", picture())
    sandbox.state.threejms.add("SKU-2", picture())

    pushed = http.post(
        "/_sandbox/threejms/push",
        json={"target": target, "photo_ids": [photo.id], "theme": "kitchen"},
    )

    assert pushed.json() == [{"photo_id": photo.id, "status": 202}]
    headers, body = received.get(timeout=10)
    assert received.empty()
    expected = hmac.new(sandbox.config.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-3jms-signature"] == f"sha256={expected}"
    content = json.loads(body)
    assert set(content) == {"event", "sku", "imageUrl", "sha256", "takenAt", "theme"}
    assert (content["event"], content["sku"], content["theme"]) == (
        "image.created",
        "SKU-1",
        "kitchen",
    )
    assert http.get(content["imageUrl"]).content == photo.data


def test_a_push_of_all_photos_says_who_was_not_there(http, sandbox):
    for sku in ("A", "B"):
        sandbox.state.threejms.add(sku, picture())

    pushed = http.post("/_sandbox/threejms/push", json={"target": "http://127.0.0.1:9/hook"})

    assert [one["status"] for one in pushed.json()] == [0, 0]


def test_a_push_of_an_unknown_photo_is_refused(http):
    order = {"target": "http://127.0.0.1:9/hook", "photo_ids": ["nope"]}
    assert http.post("/_sandbox/threejms/push", json=order).status_code == 404
