"""A job as the command line shows it, in words and as JSON."""

from __future__ import annotations

from typing import Any, Final

from rich.text import Text

from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.runtime.advice import Reader, explain, for_reader

_COLOURS: Final = {JobStatus.DONE: "green", JobStatus.FAILED: "red"}


def status_of(job: Job) -> Text:
    """Its status in colour; what waits for a person is said so."""
    if job.review is Review.WAITING:
        return Text("waits for review", style="magenta")
    return Text(job.status, style=_COLOURS.get(job.status, "yellow"))


def what_to_do(job: Job, ledger: Ledger) -> str:
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
    found = explain(job, ledger)
    if found is None:
        return ""
    advice = for_reader(found.do, job.id, Reader.COMMAND_LINE)
    if found.again is None:
        return advice
    if found.again <= ledger.database.now():
        return f"{advice} The next try is due."
    return f"{advice} The next try is at {found.again:%Y-%m-%d %H:%M} UTC."


def why(job: Job, ledger: Ledger) -> str:
    """Why it stopped: a person's decision, or the error; empty if it has not."""
    found = explain(job, ledger)
    if job.decision is not None or found is None:
        return job.decision or ""
    return f"{job.error_code}: {for_reader(found.says, job.id, Reader.COMMAND_LINE)}"


def as_json(job: Job, ledger: Ledger) -> dict[str, Any]:
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
        "whatToDo": what_to_do(job, ledger) or None,
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
