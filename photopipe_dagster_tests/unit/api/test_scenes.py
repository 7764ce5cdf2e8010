"""Scenes on their pages and over REST."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster_tests.unit.api.conftest import ApiClient

NOISE = np.random.default_rng(1).integers(90, 200, (640, 800, 3), np.uint8)
PICTURE = encode_jpeg(NOISE, quality=60)


@pytest.fixture
def client(settings, ledger, store):
    roomy = settings.model_copy(update={"image_max_bytes": 1_000_000})
    return ApiClient(create_app(roomy, ledger, store))


def token(client: ApiClient, path: str) -> dict[str, str]:
    found = re.search(r'name="csrf_token" value="([^"]*)"', client.get(path).text)
    assert found is not None
    return {"csrf_token": found[1]}


def upload(client: ApiClient, path: str, name: str, data: bytes = PICTURE, **more: str):
    return client.post(
        path, data={"name": name, **more}, files={"file": ("scene.jpg", data, "image/jpeg")}
    )


def test_a_scene_is_added_corrected_and_approved_on_its_pages(client: ApiClient, ledger):
    hidden = token(client, "/scenes")
    answer = upload(client, "/scenes", "oak", **hidden)
    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["location"]).text
    assert "confidence" in page
    changed = {"revision": "1", "ground": "0.8", "stand": "0.2,0.8", "azimuth": "60", **hidden}
    assert client.post("/scenes/oak", data=changed).status_code == 303
    found = ledger.scenes.history("oak")[0]
    assert (found.view.ground, found.view.stand) == (0.8, (0.2, 0.8))
    assert found.view.light.azimuth_degrees == 60
    assert not found.view.light.plain
    stale = client.post("/scenes/oak", data=changed | {"ground": "0.7"})
    assert (stale.status_code, "since" in stale.text) == (409, True)
    wrong = client.post("/scenes/oak", data=changed | {"revision": "2", "ground": "3"})
    assert (wrong.status_code, "ground" in wrong.text) == (422, True)
    client.post("/scenes/oak/decide", data={"revision": "2", "decision": "approved", **hidden})
    assert ledger.scenes.approved("oak") is not None
    for kind in ("whole", "sample"):
        shown = client.get(f"/scenes/oak/2/{kind}.jpg?width=320")
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert 'href="/scenes/oak"' in client.get("/scenes").text
    assert client.get("/scenes/none").status_code == 404


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "JPEG"),
        (encode_jpeg(NOISE[:300]), "300"),
        (b"x" * 1_200_000, "bytes"),
    ],
)
def test_what_is_no_scene_is_said(client: ApiClient, data: bytes, says: str):
    answer = upload(client, "/scenes", "oak", data, **token(client, "/scenes"))
    assert (answer.status_code, says in answer.text) == (422, True)
    answer = upload(client, "/api/scenes", "oak", data)
    assert (answer.status_code in (413, 422), says in answer.text) == (True, True)


def test_programs_do_what_people_can(client: ApiClient):
    added = upload(client, "/api/scenes", "oak")
    assert added.status_code == 201, added.text
    assert added.json()["state"] == "draft"
    body = json.dumps({"revision": 1, "ground": 0.8}).encode()
    headers = {"Content-Type": "application/json"}
    changed = client.request("PATCH", "/api/scenes/oak", content=body, headers=headers)
    assert changed.json()["numbers"]["ground"] == 0.8
    again = client.request("PATCH", "/api/scenes/oak", content=body, headers=headers)
    assert again.status_code == 409
    assert client.post("/api/scenes/oak/2/approve").json()["state"] == "approved"
    assert [each["revision"] for each in client.get("/api/scenes/oak").json()] == [2, 1]
    assert client.post("/api/scenes/oak/archive").json()["state"] == "archived"
    assert [each["name"] for each in client.get("/api/scenes").json()] == ["oak"]
    assert client.get("/api/scenes/none").status_code == 404


def test_a_collection_is_shown_side_by_side(client: ApiClient):
    page = client.get("/themes/kitchen/collection")
    assert (page.status_code, "No picture is done" in page.text) == (200, True)
    assert client.get("/themes/none/collection").status_code == 422


def test_a_number_that_no_revision_has_is_refused(client: ApiClient):
    assert client.get(f"/scenes/oak/{'9' * 40}/whole.jpg").status_code == 422
