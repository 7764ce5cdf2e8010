"""What the pages can do with jobs, over HTTP, with the same rules."""

from decimal import Decimal

import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.errors import ErrorCode, JobError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.ledger.money.budget import Limits
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster_tests.unit.api.conftest import ApiClient

DIGEST = "1" * 64


@pytest.fixture
def settings(settings):
    """With a provider that has its price."""
    return settings.model_copy(
        update={"ai_provider": "freepik", "freepik_api_key": "key-of-a-test"}
    )


@pytest.fixture
def client(settings, ledger, store):
    _, secret = ledger.tokens.create("Ann", [Scope.WRITE])
    app = create_app(settings, ledger, store, lineage=Lineage(lambda: None))

    class Signed(ApiClient):
        def request(self, method, url, *, headers=None, **options):
            signed = {"Authorization": f"Bearer {secret}"} | (headers or {})
            return super().request(method, url, headers=signed, **options)

    return Signed(app)


@pytest.fixture
def waiting(ledger, add_job):
    """A job that waits for a person."""
    job = add_job("A")
    ledger.transitions.advance(job.id, JobStatus.SHOPIFY_PUSH)
    ledger.transitions.hold(job.id, ["Look."], DIGEST)
    return f"/api/jobs/{job.id}"


def done(ledger, add_job):
    job = add_job("A")
    ledger.transitions.advance(
        job.id, JobStatus.DONE, stored=(Stage.MASK, job.key.object_key(Stage.MASK))
    )
    return ledger.jobs.require(job.id)


def conflict(response, says):
    assert (response.status_code, response.json()["error"]["code"]) == (409, "conflict")
    assert says in response.json()["error"]["message"]


def test_what_waits_for_a_person_is_listed_and_approved(client, ledger, waiting):
    [job] = client.get("/api/jobs?review=waiting").json()["jobs"]
    assert (job["reviewDigest"], job["reviewReasons"]) == (DIGEST, ["Look."])
    conflict(client.post(f"{waiting}/approve", json={"reviewDigest": "2" * 64}), "has changed")
    answer = client.post(f"{waiting}/approve", json={"reviewDigest": DIGEST, "note": "fine"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["review"], answer.json()["reviewedBy"]) == ("approved", "Ann")
    conflict(client.post(f"{waiting}/approve"), "does not wait for a review")


def test_a_rejection_needs_its_reason_and_keeps_it(client, ledger, waiting):
    assert client.post(f"{waiting}/reject", json={}).status_code == 422
    job = client.post(f"{waiting}/reject", json={"reason": "dull"}).json()
    assert (job["status"], job["decision"]) == ("FAILED", "rejected")
    assert job["errorMessage"] == "Rejected by Ann: dull"
    assert client.post(f"{waiting}/retry").json()["status"] == "QUEUED"


def test_a_job_is_stopped_by_who_sent_it(client, ledger, add_job):
    path = f"/api/jobs/{add_job().id}"
    job = client.post(f"{path}/cancel").json()
    assert (job["decision"], job["errorMessage"]) == ("cancelled", "Cancelled by Ann.")
    conflict(client.post(f"{path}/cancel"), "only one that waits")


def test_only_what_is_done_is_published_again(client, ledger, add_job):
    job = done(ledger, add_job)
    assert client.post(f"/api/jobs/{job.id}/publish").json()["status"] == "QUEUED"
    conflict(client.post(f"/api/jobs/{job.id}/publish"), "only a DONE one")


def test_without_a_shop_nothing_is_taken_off(client, add_job):
    response = client.post(f"/api/jobs/{add_job().id}/unpublish")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "no_shop")


def test_another_background_has_its_price_and_is_bought_once_a_key(client, ledger, add_job):
    path = f"/api/jobs/{done(ledger, add_job).id}/another-background"
    price = client.get(path).json()
    assert price["prices"][0]["backgroundUsd"] == 0.05
    refused = client.post(path, json={"maxCost": 0.01})
    assert refused.json()["error"]["code"] == "over_max_cost"
    ledger.budget.limits = Limits(day=Decimal("0.01"))
    refused = client.post(path, json={"overBudget": "refuse"})
    assert refused.json()["error"]["code"] == "over_budget"
    headers = {"Idempotency-Key": "lighter"}
    first = client.post(path, json={"note": "lighter"}, headers=headers)
    again = client.post(path, json={"note": "lighter"}, headers=headers)
    assert first.json()["variant"] == 2
    assert again.json() == first.json(), "not a third variant"
    conflict(client.post(path), "is under way")


def test_another_theme_is_a_job_of_its_own(client, ledger, add_job):
    job = done(ledger, add_job)
    answer = client.post(f"/api/jobs/{job.id}/another-theme", json={"theme": "luxury"})
    assert (answer.status_code, answer.json()["created"]) == (201, True)
    other = ledger.jobs.require(answer.json()["job"]["id"])
    assert (other.key.sku, other.key.sha256, other.key.theme) == (
        job.key.sku,
        job.key.sha256,
        "luxury",
    )
    assert answer.json()["estimate"]["totalUsd"] > 0
    again = client.post(f"/api/jobs/{job.id}/another-theme", json={"theme": "luxury"})
    assert not again.json()["created"]
    unknown = client.post(f"/api/jobs/{job.id}/another-theme", json={"theme": "nowhere"})
    assert unknown.status_code == 422


@pytest.mark.parametrize(
    "path",
    ["approve", "reject", "cancel", "publish", "unpublish", "another-background", "another-theme"],
)
def test_deciding_needs_the_scope_write_and_a_page_of_ours(settings, ledger, store, add_job, path):
    job = add_job()
    _, secret = ledger.tokens.create("Bob", [Scope.READ])
    client = ApiClient(create_app(settings, ledger, store))
    body = {"reason": "dull", "theme": "luxury"}
    reader = {"Authorization": f"Bearer {secret}"}
    response = client.post(f"/api/jobs/{job.id}/{path}", json=body, headers=reader)
    assert response.status_code == 403
    assert client.post(f"/api/jobs/{job.id}/{path}", json=body).status_code == 401
    opened = settings.model_copy(update={"api_auth": "open"})
    client = ApiClient(create_app(opened, ledger, store))
    elsewhere = {"Origin": "https://attacker.example"}
    response = client.post(f"/api/jobs/{job.id}/{path}", json=body, headers=elsewhere)
    assert response.status_code == 403
    assert ledger.jobs.require(job.id).status is JobStatus.NEW


# --- batches -----------------------------------------------------------------------------


@pytest.fixture
def failed(ledger, add_job):
    for sku in ("A", "B"):
        ledger.transitions.fail(add_job(sku).id, JobError("It broke.", code=ErrorCode.S3_ERROR))


def begun(client, wish):
    priced = client.post("/api/batches/estimate", json=wish).json()
    kept = {name: priced[name] for name in ("batchId", "seen", "costUsd")}
    return priced, client.post("/api/batches", json=wish | kept)


def test_a_batch_is_priced_begun_looked_at_and_cancelled(client, ledger, add_job, failed):
    wish = {"kind": "theme", "theme": "luxury", "skus": ["A", "nowhere"]}
    priced, answer = begun(client, wish)
    assert (priced["photos"], priced["unknownSkus"]) == (1, ["nowhere"])
    assert priced["costUsd"] == 0.07
    assert answer.status_code == 201, answer.text
    batch = answer.json()
    assert (batch["id"], batch["startedBy"], batch["total"]) == (priced["batchId"], "Ann", 1)
    assert [each["id"] for each in client.get("/api/batches").json()["batches"]] == [batch["id"]]
    ledger.batches.release(9)
    [job] = client.get(f"/api/batches/{batch['id']}/jobs").json()
    assert (job["sku"], job["theme"]) == ("A", "luxury")
    conflict(client.post(f"/api/batches/{batch['id']}/cancel"), "Nothing of batch")
    _, other = begun(client, {"kind": "failed", "code": "S3_ERROR"})
    path = f"/api/batches/{other.json()['id']}"
    assert other.json()["waiting"] == 2
    assert client.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert client.get(path).json()["state"] == "cancelled"


def test_a_batch_that_is_about_others_by_now_is_not_begun(client, ledger, add_job, failed):
    wish = {"kind": "failed"}
    priced = client.post("/api/batches/estimate", json=wish).json()
    ledger.transitions.fail(add_job("C").id, JobError("It broke too."))
    kept = {name: priced[name] for name in ("batchId", "seen", "costUsd")}
    answer = client.post("/api/batches", json=wish | kept)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "changed")
    assert ledger.batches.newest() == []


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "theme", "theme": "luxury"},
        {"kind": "theme", "theme": "luxury", "skus": ["A"], "allProducts": True},
        {"kind": "theme", "skus": ["A"]},
        {"kind": "theme", "theme": "nowhere", "skus": ["A"]},
        {"kind": "changed", "theme": "nowhere"},
        {"kind": "failed", "since": "2026-11-01T00:00:00"},
        {"kind": "other"},
    ],
)
def test_a_batch_that_makes_no_sense_is_refused(client, wish):
    assert client.post("/api/batches/estimate", json=wish).status_code == 422


def test_an_unknown_batch_is_a_404(client):
    for path in ("", "/jobs"):
        assert client.get(f"/api/batches/nowhere{path}").status_code == 404
    assert client.post("/api/batches/nowhere/cancel").status_code == 404


# --- lists, costs, themes ----------------------------------------------------------------


def test_a_list_is_followed_by_its_cursor_whatever_comes_in(client, add_job):
    known = [add_job(f"Mug-{number}").id for number in range(5)]
    seen, query = [], {"limit": 2, "skuContains": "mUG"}
    while True:
        page = client.get("/api/jobs", params=query).json()
        seen += [job["id"] for job in page["jobs"]]
        add_job(f"mug-later-{len(seen)}")
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == known[::-1]


def test_a_list_is_narrowed_by_review_date_and_part(client, ledger, waiting, add_job):
    other = add_job("Vase")

    def ids(**query):
        return [job["id"] for job in client.get("/api/jobs", params=query).json()["jobs"]]

    assert [f"/api/jobs/{each}" for each in ids(review="waiting")] == [waiting]
    assert ids(skuContains="AS") == [other.id]
    moment = other.created_at.isoformat()
    assert ids(createdFrom=moment) == [other.id]
    assert len(ids(createdBefore=moment)) == 1
    assert ids(createdBefore=moment, sku="Vase") == []
    counted = client.get("/api/jobs", params={"createdFrom": moment}).json()
    assert counted["total"] == 1
    assert Review.WAITING == "waiting"


@pytest.mark.parametrize(
    "query",
    ["cursor=x", "cursor=MjAyNg", "review=x", "createdFrom=2026-11-01T00:00:00", "skuContains="],
)
def test_odd_filters_are_refused(client, query):
    assert client.get(f"/api/jobs?{query}").status_code == 422


def test_costs_are_added_up_as_asked(client, ledger, add_job):
    job = add_job()
    for purchase, stage in (("m", Stage.MASK), ("b", Stage.BACKGROUND)):
        ledger.spending.book(
            purchase,
            key=job.key,
            stage=stage,
            provider="freepik",
            amount=Decimal("0.05"),
            owner="t",
        )
    costs = client.get("/api/costs").json()
    assert (costs["totalUsd"], len(costs["spending"])) == (0.1, 2)
    [row] = client.get("/api/costs?by=sku").json()["spending"]
    assert row == {"group": {"sku": job.key.sku}, "calls": 2, "usd": 0.1}
    assert client.get("/api/costs?since=2100-01-01T00:00:00Z").json()["spending"] == []
    assert client.get("/api/costs?by=job").status_code == 422


def test_themes_that_are_offered_are_listed(client, settings):
    themes = client.get("/api/themes").json()
    assert [theme["name"] for theme in themes if theme["isDefault"]] == ["default"]
    assert {"kitchen", "luxury"} < {theme["name"] for theme in themes}
    assert {theme["provider"] for theme in themes} >= {"freepik"}
