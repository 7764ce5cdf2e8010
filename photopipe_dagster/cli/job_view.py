"""A job as the command line shows it, in words and as JSON."""

from __future__ import annotations

from typing import Any, Final

from rich.text import Text

from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.runtime.advice import advice_on

_COLOURS: Final = {JobStatus.DONE: "green", JobStatus.FAILED: "red"}


def status_of(job: Job) -> Text:
    """Its status in colour; what waits for a person is said so."""
    if job.review is Review.WAITING:
        return Text("waits for review", style="magenta")
    return Text(job.status, style=_COLOURS.get(job.status, "yellow"))


def what_to_do(job: Job) -> str:
    """What a person should do about it; empty if nothing."""
    if job.review is Review.WAITING:
        return (
            f"Look at the picture, then `photopipe review {job.id} --approve`, "
            "`--reject REASON` or `--another-background`."
        )
    if job.status is JobStatus.REJECTED:
        return (
            f"A person rejected its picture; `photopipe retry {job.id}` has it reviewed again. "
            "Its page has a button for another background."
        )
    if job.decision is not None:
        return f"A person stopped it; `photopipe retry {job.id}` lets it go on."
    if job.error_code is None:
        return ""
    advice = advice_on(job.error_code, job.error_details)
    advice = advice.replace("retry JOB", f"retry {job.id}")
    if job.retry_at is None:
        return advice
    again = f"It is retried automatically at {job.retry_at:%Y-%m-%d %H:%M} UTC."
    return f"{again} Else: {advice}"


def as_json(job: Job) -> dict[str, Any]:
    """A job for other programs; USD as strings, so that no digit is lost."""
    return {
        "id": job.id,
        "sku": job.key.sku,
        "sha256": job.key.sha256,
        "theme": job.key.theme,
        "status": job.status,
        "decision": job.decision,
        "costUsd": str(job.total_cost),
        "errorCode": job.error_code,
        "errorMessage": job.error_message,
        "errorDetails": job.error_details,
        "reason": job.reason or None,
        "whatToDo": what_to_do(job) or None,
        "retryCount": job.retry_count,
        "retryAt": None if job.retry_at is None else job.retry_at.isoformat(),
        "review": job.review,
        "reviewReasons": list(job.review_reasons),
        "partitionKey": job.key.partition_key,
        "shopifyProductId": job.product_id,
        "shopifyMediaId": job.media_id,
        "createdAt": job.created_at.isoformat(),
        "completedAt": None if job.completed_at is None else job.completed_at.isoformat(),
    }
