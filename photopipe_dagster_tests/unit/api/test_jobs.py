from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.errors import NetworkError, StorageError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger.jobs.statuses import PATH, JobStatus
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster_tests.unit.api.conftest import ApiClient


def spend(ledger, job, stage, amount):
    spending = ledger.spending.reserve(
        f"{stage} of {job.id}",
        key=job.key,
        stage=stage,
        provider="freepik",
        amount=Decimal(amount),
        owner="test",
    )
    ledger.spending.settle(spending.id, SpendState.CHARGED)


def finish(ledger, job):
    ledger.transitions.advance(job.id, JobStatus.DONE)


def fail(ledger, job):
    details = {"provider": "freepik", "statusCode": 500}
    ledger.transitions.fail(job.id, NetworkError("Freepik did not answer.", details=details))


# --- one ---------------------------------------------------------------------------------


def test_a_job_is_shown_as_the_interface_says(client, ledger, add_job):
    job = add_job("A #1")
    ledger.transitions.advance(job.id, JobStatus.COMPOSITING)
    ledger.transitions.advance(
        job.id, JobStatus.NEW, stored=(Stage.ORIGINAL, job.key.object_key(Stage.ORIGINAL))
    )
    ledger.transitions.advance(
        job.id, JobStatus.NEW, stored=(Stage.MASK, job.key.object_key(Stage.MASK))
    )
    spend(ledger, job, Stage.MASK, "0.02")
    spend(ledger, job, Stage.BACKGROUND, "0.05")
    response = client.get(f"/api/jobs/{job.id}")
    assert response.status_code == 200
    shown = response.json()
    expected = {
        "id": job.id,
        "sku": "A #1",
        "sha256": job.key.sha256,
        "theme": "default",
        "status": "COMPOSITING",
        "s3Keys": {
            "original": f"originals/A%20%231/{job.key.sha256}.jpg",
            "mask": f"masks/A%20%231/{job.key.sha256}.png",
            "background": None,
            "composite": None,
        },
        "costs": {"segmentation": 0.02, "background": 0.05, "total": 0.07},
        "retryCount": 0,
        "errorCode": None,
        "shopifyProductId": None,
        "completedAt": None,
    }
    assert {name: shown[name] for name in expected} == expected
    assert '"total":0.07}' in response.text
    assert datetime.fromisoformat(shown["createdAt"]) == job.created_at
    assert shown["createdAt"].endswith("Z")
    assert shown["startedAt"] is not None
    assert "imageUrl" not in shown


def test_a_failed_job_says_why(client, ledger, add_job):
    job = add_job()
    fail(ledger, job)
    shown = client.get(f"/api/jobs/{job.id}").json()
    assert shown["status"] == "FAILED"
    assert shown["errorCode"] == "NETWORK_ERROR"
    assert shown["errorMessage"] == "Freepik did not answer."
    assert shown["errorDetails"] == {"provider": "freepik", "statusCode": 500}
    assert shown["retryAt"] is not None


def stop(ledger, job):
    ledger.transitions.cancel(job.id, by="Ann")


def reject(ledger, job):
    ledger.transitions.advance(job.id, JobStatus.SHOPIFY_PUSH)
    ledger.transitions.hold(job.id, ["look"], "d" * 64)
    ledger.reviews.reject(job.id, by="Eva", reason="The handle is gone.")


@pytest.mark.parametrize(
    ("decide", "decision", "code", "message"),
    [
        (stop, "cancelled", "VALIDATION_ERROR", "Cancelled by Ann."),
        (reject, "rejected", "COMPOSITE_ERROR", "Rejected by Eva: The handle is gone."),
    ],
)
def test_what_a_person_decided_reads_as_it_always_did(
    client, ledger, add_job, decide, decision, code, message
):
    job = add_job()
    assert client.get(f"/api/jobs/{job.id}").json()["decision"] is None
    decide(ledger, job)
    shown = client.get(f"/api/jobs/{job.id}").json()
    assert (shown["status"], shown["decision"]) == ("FAILED", decision)
    assert (shown["errorCode"], shown["errorMessage"]) == (code, message)
    assert shown["errorDetails"] == {"kind": decision}
    assert shown["retryAt"] is None
    assert datetime.fromisoformat(shown["failedAt"]) == ledger.jobs.require(job.id).updated_at
    retried = client.post(f"/api/jobs/{job.id}/retry").json()
    assert (retried["status"], retried["decision"]) == ("QUEUED", None)
    assert (retried["errorCode"], retried["failedAt"]) == (None, None)
    assert ledger.dispatches.take(photos_per_dispatch=1, limit=1)[0].keys == (job.key,)


def test_an_outside_orchestrator_starts_what_a_person_stopped(client, ledger, add_job):
    job = add_job()
    stop(ledger, job)
    assert client.post(f"/api/jobs/{job.id}/start").json()["status"] == "QUEUED"


@pytest.mark.parametrize("job_id", ["unknown", "x" * 16, "x" * 500, "%00" * 16, "ü" * 16, "a%0Ab"])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/retry"), ("GET", "/presign")])
def test_an_unknown_job_is_not_found(client, job_id, method, path):
    response = client.request(method, f"/api/jobs/{job_id}{path}?type=mask")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


# --- many --------------------------------------------------------------------------------


def test_jobs_are_listed_newest_first_in_pages(client, add_job):
    ids = [add_job(f"S{number}").id for number in range(5)]
    listed = client.get("/api/jobs").json()
    assert [job["id"] for job in listed["jobs"]] == ids[::-1]
    assert (listed["total"], listed["limit"], listed["offset"]) == (5, 50, 0)
    page = client.get("/api/jobs", params={"limit": 2, "offset": 1}).json()
    assert [job["id"] for job in page["jobs"]] == [ids[3], ids[2]]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
    assert client.get("/api/jobs", params={"offset": 9}).json()["jobs"] == []


@pytest.mark.parametrize(
    ("query", "skus"),
    [
        ({"status": "NEW"}, ["B", "A #1"]),
        ({"status": "FAILED"}, ["A"]),
        ({"status": "DONE"}, []),
        ({"sku": "A"}, ["A"]),
        ({"sku": "A #1"}, ["A #1"]),
        ({"sku": "%"}, []),
        ({"theme": "kitchen"}, ["B"]),
        ({"theme": "kitchen", "status": "FAILED"}, []),
    ],
)
def test_jobs_are_filtered(client, ledger, add_job, query, skus):
    fail(ledger, add_job("A"))
    add_job("A #1")
    add_job("B", theme="kitchen")
    listed = client.get("/api/jobs", params=query).json()
    assert [job["sku"] for job in listed["jobs"]] == skus
    assert listed["total"] == len(skus)


def test_what_a_person_decided_is_found_among_the_failed(client, ledger, add_job):
    jobs = [add_job(f"S{number}") for number in range(4)]
    for decide, job in zip((fail, stop, reject), jobs, strict=False):
        decide(ledger, job)
    ids = [job.id for job in jobs[2::-1]]
    for offset in range(4):
        query = {"status": "FAILED", "limit": 2, "offset": offset}
        listed = client.get("/api/jobs", params=query).json()
        assert [job["id"] for job in listed["jobs"]] == ids[offset : offset + 2]
        assert listed["total"] == 3
    assert client.get("/api/jobs", params={"status": "CANCELLED"}).status_code == 422


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "many"),
        ("offset", "-1"),
        ("offset", "9" * 30),
        ("status", "LOST"),
        ("status", "done"),
        ("sku", "x" * 256),
        ("sku", "a\x00b"),
        ("theme", "\x00"),
    ],
)
def test_odd_queries_are_told(client, name, value):
    response = client.get("/api/jobs", params={name: value})
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "validation_error"
    assert response.json()["error"]["message"].startswith(f"{name}: ")


def test_statistics_of_nothing(client):
    stats = client.get("/api/jobs/stats").json()
    assert stats["total"] == 0
    assert list(stats["byStatus"]) == [*PATH, JobStatus.FAILED]
    assert stats["byDecision"] == {"cancelled": 0, "rejected": 0}
    assert (stats["totalCost"], stats["averageCost"], stats["successRate"]) == (0, 0, 0)


def test_statistics(client, ledger, add_job):
    jobs = [add_job(f"S{number}") for number in range(6)]
    for job in jobs[:2]:
        finish(ledger, job)
    stop(ledger, jobs[4])
    reject(ledger, jobs[5])
    fail(ledger, jobs[2])
    for job in jobs[:3]:
        spend(ledger, job, Stage.MASK, "0.10")
    response = client.get("/api/jobs/stats")
    stats = response.json()
    assert stats["total"] == sum(stats["byStatus"].values()) == 6
    assert (stats["byStatus"]["DONE"], stats["byStatus"]["FAILED"]) == (2, 3)
    assert stats["byDecision"] == {"cancelled": 1, "rejected": 1}
    assert stats["successRate"] == 66.7, "a person's decision is no failure"
    assert stats["averageCost"] == 0.05
    # As floats, 0.1 + 0.1 + 0.1 is 0.30000000000000004.
    assert '"totalCost":0.3,' in response.text


# --- doing -------------------------------------------------------------------------------


def test_a_failed_job_is_tried_again_and_no_other(client, ledger, add_job):
    job = add_job()
    response = client.post(f"/api/jobs/{job.id}/retry")
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "conflict"
    assert "only a job that is FAILED" in response.json()["error"]["message"]
    fail(ledger, job)
    response = client.post(f"/api/jobs/{job.id}/retry")
    assert response.status_code == 200
    assert datetime.fromisoformat(response.json()["retryAt"]) <= datetime.now(UTC)
    assert ledger.dispatches.take(photos_per_dispatch=1, limit=1)[0].keys == (job.key,)


@pytest.mark.parametrize("picture", ["original", "mask", "background", "composite"])
def test_a_signed_url_gives_the_picture(client, ledger, store, add_job, picture):
    job = add_job("A #1 %20")
    stage = Stage(picture)
    key = job.key.object_key(stage)
    store.put(key, b"the picture", content_type="image/png")
    ledger.transitions.advance(job.id, JobStatus.NEW, stored=(stage, key))
    response = client.get(f"/api/jobs/{job.id}/presign?type={picture}&expiresIn=60")
    assert response.status_code == 200
    shown = response.json()
    assert set(shown) == {"url", "expiresIn", "expiresAt", "stored"}
    assert shown["stored"] is True
    assert shown["expiresIn"] == 60
    expires = datetime.fromisoformat(shown["expiresAt"])
    assert timedelta(seconds=50) < expires - datetime.now(UTC) <= timedelta(seconds=60)
    assert client.get(shown["url"]).content == b"the picture"


def test_a_signed_url_lives_as_long_as_the_settings_say(client, ledger, add_job):
    job = add_job()
    ledger.transitions.advance(job.id, JobStatus.NEW, stored=(Stage.MASK, "masks/A/1.png"))
    assert client.get(f"/api/jobs/{job.id}/presign?type=mask").json()["expiresIn"] == 3600


def test_a_picture_that_is_not_stored_yet_has_the_url_that_it_will_have(client, store, add_job):
    job = add_job()
    response = client.get(f"/api/jobs/{job.id}/presign?type=composite")
    assert (response.status_code, response.json()["stored"]) == (200, False)
    assert client.get(response.json()["url"]).status_code == 404
    store.put(job.key.object_key(Stage.COMPOSITE), b"it", content_type="image/jpeg")
    assert client.get(response.json()["url"]).content == b"it"


@pytest.mark.parametrize(
    "query",
    ["", "type=shopify_media", "type=x", "type=mask&expiresIn=0", "type=mask&expiresIn=604801"],
)
def test_odd_signed_urls_are_refused(client, add_job, query):
    response = client.get(f"/api/jobs/{add_job().id}/presign?{query}")
    assert response.status_code == 422


def test_a_store_that_fails_is_a_503(settings, ledger, add_job):
    class Broken:
        def presign_get(self, *_):
            raise StorageError("The bucket does not answer.")

    job = add_job()
    ledger.transitions.advance(job.id, JobStatus.NEW, stored=(Stage.MASK, "masks/A/1.png"))
    client = ApiClient(create_app(settings, ledger, Broken()))
    response = client.get(f"/api/jobs/{job.id}/presign?type=mask")
    assert client.get("/files/masks/A/1.png").status_code == 404
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["error"]["code"] == "storage_unavailable"
