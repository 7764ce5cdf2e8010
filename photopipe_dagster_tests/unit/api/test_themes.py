"""The shop's own themes over HTTP."""

from __future__ import annotations

import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster_tests.unit.api.conftest import ApiClient


@pytest.fixture
def client(settings, ledger, store):
    return ApiClient(create_app(settings, ledger, store, lineage=Lineage(lambda: None)))


def make(client: ApiClient, name: str = "ours") -> dict:
    return client.post("/api/themes", json={"copyOf": "kitchen", "name": name}).json()


def test_a_theme_is_copied_changed_and_archived(client, ledger):
    made = make(client)
    assert (made["revision"], made["builtIn"], made["theme"]["local_scene"]) == (
        1,
        False,
        "kitchen",
    )
    light = made["theme"]["light"] | {"softness": 0.3}
    change = {"revision": 1, "theme": made["theme"] | {"light": light}}
    assert client.put("/api/themes/ours", json=change).json()["revision"] == 2
    refused = client.put("/api/themes/ours", json=change)
    assert refused.status_code == 409
    assert "light.softness" in refused.json()["error"]["message"]
    assert client.post("/api/themes/ours/archive", json={"revision": 2}).json()["archived"]
    offered = {each["name"] for each in client.get("/api/themes").json()}
    assert "ours" not in offered
    assert offered > {"kitchen", "google"}
    every = {each["name"]: each for each in client.get("/api/themes?all=true").json()}
    assert (every["ours"]["revision"], every["ours"]["archived"]) == (3, True)
    assert every["kitchen"]["revision"] is None
    shown = client.get("/api/themes/ours").json()
    assert [each["revision"] for each in shown["revisions"]] == [1, 2, 3]


def test_a_file_is_sent_to_another_shop_as_it_is(client):
    file = client.get("/api/themes/kitchen/file")
    assert 'filename="kitchen.json"' in file.headers["content-disposition"]
    assert client.post("/api/themes", json=file.json()).status_code == 409  # it ships there, too
    made = client.post("/api/themes", json=file.json() | {"name": "theirs"})
    assert made.status_code == 201
    assert client.get("/api/themes/theirs/file").json()["theme"]["name"] == "theirs"
    files = {"file": ("kitchen.json", file.content)}
    again = client.post("/api/themes/import", data={"name": "again"}, files=files)
    assert (again.status_code, again.json()["name"]) == (201, "again")


def test_a_theme_is_looked_at_before_it_is_saved(client, ledger):
    content = client.get("/api/themes/kitchen").json()["theme"] | {"prompt": "A bottle on sand."}
    [warning] = client.post("/api/themes/check", json={"theme": content}).json()
    assert warning["field"] == "prompt"
    assert "'bottle'" in warning["says"]
    assert ledger.themes.all() == ()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("post", "", {"copyOf": "kitchen"}, 422),
        ("post", "", {"copyOf": "moon", "name": "ours"}, 404),
        ("post", "", {"copyOf": "kitchen", "name": "O U R S"}, 422),
        ("post", "", {"copyOf": "kitchen", "name": "luxury"}, 409),
        ("post", "", {"theme": {"name": "ours", "colour": "x"}}, 422),
        ("post", "/check", {"theme": {"prompt": "x" * 100_000}}, 422),
        ("put", "/kitchen", {"revision": 1, "theme": {}}, 422),
        ("post", "/import", {}, 422),
        ("get", "/moon", None, 404),
        ("get", "/moon/file", None, 404),
        ("post", "/kitchen/archive", {"revision": 1}, 422),
        ("post", "/moon/archive", {"revision": 1}, 404),
    ],
)
def test_what_cannot_be_is_refused(client, ledger, method, path, body, status):
    sent = {} if body is None else {"json": body}
    answer = getattr(client, method)(f"/api/themes{path}", **sent)
    assert answer.status_code == status
    assert len(answer.json()["error"]["message"]) < 1500
    assert ledger.themes.all() == ()


def test_who_may_only_look_changes_nothing(client, ledger):
    _, secret = ledger.tokens.create("viewer", [Scope.READ])
    reads = {"Authorization": f"Bearer {secret}"}
    wish = {"copyOf": "kitchen", "name": "ours"}
    assert client.post("/api/themes", json=wish, headers=reads).status_code == 403
    assert client.get("/api/themes/kitchen", headers=reads).status_code == 200
