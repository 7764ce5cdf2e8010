"""The interface as it was specified: each of its examples sent, and the answer compared.

Where the services turned out to be different, the examples are adapted as little as possible: a
digest is hexadecimal and that of the photo, and a job's id is made of the photo's key.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster_tests.unit.api.conftest import ApiClient, signed
from photopipe_dagster_tests.unit.api.test_external_jobs import BODIES, FAILURE, KEY, Orchestrator

WEBHOOK = {
    "event": "image.created",
    "sku": KEY.sku,
    "imageUrl": "https://3jms.com/photos/abc123.jpg",
    "sha256": KEY.sha256,
    "takenAt": "2025-11-01T12:00:00Z",
}


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"image_max_bytes": 10_000_000})


@pytest.fixture
def client(settings, ledger, store):
    return ApiClient(create_app(settings, ledger, store, lineage=Lineage(lambda: None)))


@pytest.fixture
def announce(client):
    def send(content=WEBHOOK):
        body = json.dumps(content).encode()
        return client.post("/api/webhooks/3jms/images", content=body, headers=signed(body))

    return send


@pytest.fixture
def n8n(client, announce):
    """The orchestrator of the specification, with the job of its webhook."""
    return Orchestrator(client, announce().json()["jobId"])


def is_moment(value):
    assert value.endswith("Z")
    assert abs(datetime.fromisoformat(value) - datetime.now(UTC)) < timedelta(minutes=5)


def test_webhook(announce):
    created = announce()
    assert created.status_code == 201
    assert created.json() == {
        "status": "created",
        "jobId": KEY.job_id,
        "message": "Job created successfully",
    }
    again = announce()
    assert again.status_code == 200
    assert again.json() == {
        "status": "duplicate",
        "jobId": KEY.job_id,
        "message": "Job already exists for this image",
    }


def test_the_short_digest_of_the_integration_test(announce):
    content = WEBHOOK | {"imageUrl": "https://example.com/photo.jpg", "sha256": "abc123def456"}
    assert announce(content).status_code == 201
    assert announce(content).status_code == 200


@pytest.mark.parametrize("signature", [{}, {"X-3JMS-Signature": "sha256=abc123"}])
def test_webhook_with_a_wrong_signature(client, signature):
    response = client.post("/api/webhooks/3jms/images", json=WEBHOOK, headers=signature)
    assert response.status_code == 401


def test_start(n8n):
    response = n8n.start()
    assert response.status_code == 200
    answer = response.json()
    assert (answer["jobId"], answer["status"]) == (n8n.job_id, "QUEUED")
    assert answer["presignedUrls"]["original"].startswith("http")
    assert answer["presignedUrls"]["mask"].startswith("http")


def test_job(n8n):
    n8n.up_to("backgrounds")
    response = n8n.client.get(f"/api/jobs/{n8n.job_id}")
    assert response.status_code == 200
    job = response.json()
    is_moment(job.pop("createdAt"))
    is_moment(job.pop("updatedAt"))
    specified = {
        "id": n8n.job_id,
        "sku": "VWS200433868",
        "theme": "default",
        "status": "COMPOSITING",
        "s3Keys": {
            "original": f"originals/VWS200433868/{KEY.sha256}.jpg",
            "mask": f"masks/VWS200433868/{KEY.sha256}.png",
            "background": f"backgrounds/default/VWS200433868/{KEY.sha256}_1.jpg",
            "composite": None,
        },
        "costs": {"segmentation": 0.02, "background": 0.05, "total": 0.07},
        "retryCount": 0,
    }
    assert {name: job[name] for name in specified} == specified


def test_presign(n8n):
    n8n.up_to("composite")
    response = n8n.client.get(
        f"/api/jobs/{n8n.job_id}/presign", params={"type": "composite", "expiresIn": 3600}
    )
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"url", "expiresIn", "expiresAt", "stored"}
    assert KEY.object_key(Stage.COMPOSITE) in answer["url"]
    assert answer["expiresIn"] == 3600
    until = datetime.fromisoformat(answer["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=55) < until <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("path", "specified"),
    [
        ("segmentation", {"status": "BG_GENERATING"}),
        ("backgrounds", {"status": "COMPOSITING"}),
        ("composite", {"status": "SHOPIFY_PUSH"}),
        (
            "shopify",
            {
                "status": "DONE",
                "shopifyProductId": "gid://shopify/Product/123456",
                "shopifyMediaId": "gid://shopify/MediaImage/789012",
            },
        ),
    ],
)
def test_completions(n8n, path, specified):
    job = n8n.up_to(path)
    assert {name: job[name] for name in specified} == specified
    assert job["id"] == n8n.job_id
    if "s3Key" in BODIES[path]:
        assert BODIES[path]["s3Key"] in job["s3Keys"].values()


def test_fail(n8n):
    n8n.start()
    error = FAILURE | {
        "errorDetails": {
            "provider": "freepik",
            "endpoint": "/v1/ai/beta/remove-background",
            "statusCode": 500,
        }
    }
    response = n8n.post("fail", error)
    assert response.status_code == 200
    job = response.json()
    assert job["status"] == "FAILED"
    assert {name: job[name] for name in error} == error
    is_moment(job["failedAt"])


def test_list(n8n):
    n8n.up_to("shopify")
    response = n8n.client.get("/api/jobs?status=DONE&limit=50&offset=0")
    assert response.status_code == 200
    answer = response.json()
    assert {name: answer[name] for name in ("total", "limit", "offset")} == {
        "total": 1,
        "limit": 50,
        "offset": 0,
    }
    assert [job["id"] for job in answer["jobs"]] == [n8n.job_id]
    plain = n8n.client.get("/api/jobs").json()
    assert (plain["limit"], plain["offset"]) == (50, 0)
    assert n8n.client.get("/api/jobs?limit=101").status_code == 422


def test_stats(n8n):
    n8n.up_to("shopify")
    response = n8n.client.get("/api/jobs/stats")
    assert response.status_code == 200
    assert response.json() == {
        "total": 1,
        "byStatus": {
            "NEW": 0,
            "QUEUED": 0,
            "SEGMENTING": 0,
            "BG_GENERATING": 0,
            "COMPOSITING": 0,
            "SHOPIFY_PUSH": 0,
            "DONE": 1,
            "FAILED": 0,
        },
        "byDecision": {"cancelled": 0, "rejected": 0},
        "totalCost": 0.07,
        "averageCost": 0.07,
        "successRate": 100.0,
    }


def test_health(client):
    response = client.get("/health")
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "healthy"
    assert isinstance(answer["uptime"], int)
    assert (answer["database"], answer["s3"]) == ("connected", "connected")
    assert answer["freepik"] == "not configured"


def test_metrics(n8n):
    n8n.up_to("shopify")
    lines = n8n.client.get("/metrics").text.splitlines()
    assert 'jobs_total{status="done"} 1.0' in lines
    assert 'jobs_total{status="failed"} 0.0' in lines
    assert "job_cost_usd 0.07" in lines
