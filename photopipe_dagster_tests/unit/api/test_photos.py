"""Photos that come with a request, or by an upload."""

from datetime import timedelta
from decimal import Decimal

import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.ledger.money.budget import Limits
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster_tests.unit.api.conftest import ApiClient
from photopipe_dagster_tests.unit.api.test_external_jobs import PHOTO, scene

KEY = {"Idempotency-Key": "one"}


@pytest.fixture
def settings(settings):
    """With a provider that has its price, and a budget."""
    return settings.model_copy(
        update={
            "image_max_bytes": 2_000_000,
            "ai_provider": "freepik",
            "freepik_api_key": "key-of-a-test",
            "cost_limit_daily_usd": 1,
        }
    )


@pytest.fixture
def client(settings, ledger, store):
    return ApiClient(create_app(settings, ledger, store, lineage=Lineage(lambda: None)))


def submit(client, photo=PHOTO, headers=None, **fields):
    data = {"sku": "A 1", "theme": ["default", "kitchen"]} | fields
    return client.post("/api/photos", files={"file": photo}, data=data, headers=headers)


def error(response, status, code):
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    return response.json()["error"]["message"]


def test_a_photo_becomes_a_job_in_each_theme_and_its_price_is_told(client, ledger, store):
    answer = submit(client)
    assert answer.status_code == 201
    told = answer.json()
    assert [each["created"] for each in told["jobs"]] == [True, True]
    assert told["estimate"]["totalUsd"] == 0.12, "one cut-out, two backgrounds"
    for each in told["jobs"]:
        job = ledger.jobs.require(each["job"]["id"])
        assert (job.key.sku, job.key.sha256) == ("A 1", told["sha256"])
    assert store.get(job.key.object_key(Stage.ORIGINAL)).data == PHOTO
    again = submit(client)
    assert (again.status_code, again.json()["jobs"][0]["created"]) == (200, False)


def test_the_price_is_told_before_anything_is_begun(client, ledger):
    sha256 = submit(client, theme=["default"]).json()["sha256"]
    asked = {"sku": "B", "sha256": sha256, "width": 240, "height": 240}
    told = client.post("/api/photos/estimate", json=asked).json()
    assert (told["totalUsd"], told["overBudget"]) == (0.07, [])
    assert told["budget"][0] | {"ends": ""} == {
        "span": "day",
        "spentUsd": 0.0,
        "limitUsd": 1.0,
        "leftUsd": 1.0,
        "ends": "",
    }
    assert ledger.jobs.get(PhotoKey("B", sha256, "default").job_id) is None


def test_what_costs_more_than_agreed_or_than_is_left_is_not_begun(ledger, client):
    assert "0.12" in error(submit(client, maxCost="0.11"), 409, "over_max_cost")
    ledger.budget.limits = Limits(day=Decimal("0.1"))
    assert "COST_LIMIT_DAILY_USD" in error(submit(client, overBudget="refuse"), 409, "over_budget")
    assert ledger.jobs.stats().total == 0
    waiting = submit(client)
    assert (waiting.status_code, waiting.json()["estimate"]["overBudget"]) == (201, ["day"])


@pytest.mark.parametrize(
    ("photo", "fields", "status", "says"),
    [
        (b"no picture", {}, 422, "no picture"),
        (b"x" * 2_000_001, {}, 413, "2000000"),
        (PHOTO, {"theme": "nowhere"}, 422, "nowhere"),
        (PHOTO, {"sku": ""}, 422, "sku"),
        (PHOTO, {"sku": "x" * 300}, 422, "sku"),
        (PHOTO, {"maxCost": "-1"}, 422, "maxCost"),
    ],
)
def test_what_is_no_photo_of_a_product_is_refused(client, ledger, photo, fields, status, says):
    response = submit(client, photo, **fields)
    assert response.status_code == status, response.text
    assert says in response.json()["error"]["message"]
    assert ledger.jobs.stats().total == 0


def test_a_body_beyond_a_photo_is_not_read_on(client):
    assert submit(client, b"x" * 5_000_000).status_code == 413


def test_a_photo_can_be_uploaded_to_a_signed_url(client, ledger):
    sha256 = submit(client, sku="other").json()["sha256"]
    told = {"sku": "A", "sha256": sha256}
    assert "not there" in error(
        client.post("/api/photos/uploaded", json=told), 422, "validation_error"
    )
    upload = client.post("/api/uploads", json=told).json()
    assert not upload["stored"]
    put = client.put(upload["url"], content=PHOTO, headers=upload["uploadHeaders"])
    assert put.status_code == 200
    assert client.post("/api/uploads", json=told).json()["stored"]
    answer = client.post("/api/photos/uploaded", json=told)
    assert (answer.status_code, answer.json()["jobs"][0]["created"]) == (201, True)


def test_an_upload_of_another_photo_is_refused(client, ledger):
    told = {"sku": "A", "sha256": "0" * 64}
    upload = client.post("/api/uploads", json=told).json()
    client.put(upload["url"], content=PHOTO, headers=upload["uploadHeaders"])
    message = error(client.post("/api/photos/uploaded", json=told), 422, "validation_error")
    assert "another one" in message
    assert ledger.jobs.stats().total == 0


# --- sent twice --------------------------------------------------------------------------


def test_the_same_request_with_the_same_key_is_carried_out_once(client):
    first = submit(client, headers=KEY)
    again = submit(client, headers=KEY)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


def test_another_request_with_the_same_key_is_refused(client, ledger):
    submit(client, headers=KEY)
    error(submit(client, sku="other", headers=KEY), 422, "idempotency_mismatch")
    error(submit(client, scene(), headers=KEY), 422, "idempotency_mismatch")
    assert ledger.jobs.stats().total == 2


def test_a_request_that_was_refused_may_be_sent_again_with_its_key(client):
    assert submit(client, maxCost="0.01", headers=KEY).status_code == 409
    assert submit(client, headers=KEY).status_code == 201


def test_a_request_of_which_nobody_knows_the_end_is_not_repeated(client, ledger, monkeypatch):
    def die(*_):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(ledger.intake, "submit", die)
        assert submit(client, headers=KEY).status_code == 500
    error(submit(client, headers=KEY), 409, "idempotency_conflict")
    assert submit(client, headers={"Idempotency-Key": "two"}).status_code == 201


def test_a_key_belongs_to_its_token(settings, ledger, store):
    app = create_app(settings, ledger, store, lineage=Lineage(lambda: None))
    client = ApiClient(app)
    statuses = []
    for name in ("a", "b"):
        _, secret = ledger.tokens.create(name, [Scope.WRITE])
        answer = submit(client, headers=KEY | {"Authorization": f"Bearer {secret}"})
        statuses.append((answer.status_code, "idempotent-replayed" in answer.headers))
    assert statuses == [(201, False), (200, False)]
    _, reader = ledger.tokens.create("c", [Scope.READ])
    refused = submit(client, headers=KEY | {"Authorization": f"Bearer {reader}"})
    assert refused.status_code == 403


def test_a_key_is_forgotten_after_a_day(client, ledger):
    submit(client, headers=KEY)
    now = ledger.database.now
    ledger.database.now = lambda: now() + timedelta(days=1, seconds=1)
    assert submit(client, headers=KEY).status_code == 200
