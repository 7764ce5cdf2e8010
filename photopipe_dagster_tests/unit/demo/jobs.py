"""Jobs as the tests of the demo need them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus

BEGAN = datetime(2026, 11, 1, 12, tzinfo=UTC)


def job(sku="A", theme="default", status=JobStatus.DONE, digest="a" * 64, **changes) -> Job:
    key = PhotoKey(sku, digest, theme)
    done = status is JobStatus.DONE
    values = {
        "id": key.job_id,
        "key": key,
        "status": status,
        "source": "poll",
        "image_url": None,
        "taken_at": None,
        "created_at": BEGAN,
        "updated_at": BEGAN,
        "queued_at": BEGAN,
        "started_at": BEGAN + timedelta(seconds=1),
        "completed_at": BEGAN + timedelta(seconds=3.5) if done else None,
        "failed_at": None,
        "object_keys": {},
        "product_id": f"product {sku}" if done else None,
        "media_id": f"media {sku} {theme}" if done else None,
        "segmentation_cost": Decimal("0.02"),
        "background_cost": Decimal("0.05"),
        "error_code": None,
        "error_message": None,
        "error_details": None,
        "retry_count": 0,
        "retry_at": None,
        "dispatch_id": None,
        "run_id": None,
    }
    return Job(**(values | changes))
