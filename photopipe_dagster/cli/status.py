"""`photopipe status`: how all photos are, or one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import AsJson, Limit, console, print_json, read_settings
from photopipe_dagster.cli.job_view import as_json as job_as_json
from photopipe_dagster.cli.job_view import status_of, what_to_do, why
from photopipe_dagster.core.money import usd
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.quality.results import Verdict, from_record

_NAMED: Final = 5
"""Jobs that are named where a person has to do something; `review` and the pages have them all."""

_VERDICT_COLOURS: Final = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


def status(
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="Job ID (default: list all).")
    ] = None,
    only: Annotated[JobStatus | None, typer.Option("--status", help="Only this status.")] = None,
    sku: Annotated[
        str | None, typer.Option(help="Only this SKU; where there is none, those that contain it.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show what needs attention, and jobs, newest first; or all that is known of one job."""
    ledger = Ledger.open(read_settings())
    if job is not None:
        _show_job(ledger, ledger.jobs.require(job), as_json=as_json)
        return
    which = JobQuery() if sku is None else ledger.jobs.with_sku_or_part(sku)
    which = replace(which, statuses=() if only is None else (only,))
    jobs = ledger.jobs.find(which, limit=limit)
    if as_json:
        print_json(_overview_as_json(ledger, jobs))
        return
    _print_jobs(ledger, jobs)
    _print_overview(ledger)


# --- all of them -----------------------------------------------------------------------------


def _print_jobs(ledger: Ledger, jobs: Sequence[Job]) -> None:
    table = Table(title="Jobs")
    table.add_column("Job", no_wrap=True)
    table.add_column("SKU", overflow="fold")
    table.add_column("Theme")
    table.add_column("Status", no_wrap=True)
    table.add_column("USD", justify="right")
    for job in jobs:
        table.add_row(job.id, Text(job.key.sku), job.key.theme, status_of(job), usd(job.total_cost))
    console.print(table)
    for job in jobs:
        if reason := why(job, ledger):
            _say(f"{job.id} {reason}", style="red" if job.status is JobStatus.FAILED else "")
            _say(f"    {what_to_do(job, ledger)}")


def _print_overview(ledger: Ledger) -> None:
    stats = ledger.jobs.stats()
    counts = ", ".join(f"{count} {name}" for name, count in stats.by_status.items() if count)
    _say(f"{stats.total} jobs ({counts or 'none yet'}), {usd(stats.total_cost)} USD")
    _name(
        f"{ledger.reviews.count()} wait for a person (`photopipe review`)",
        ledger.reviews.waiting(limit=_NAMED),
        lambda job: " ".join(job.review_reasons),
    )
    _name("Stuck: on their way, and nobody is at work on them", ledger.dashboard.stalled(_NAMED))
    _name("Failed last, and not tried again", ledger.dashboard.given_up(_NAMED))
    for breaker in ledger.breakers.down():
        _say(f"{breaker.name} is down: {breaker.reason}", style="yellow")
    rejected = ledger.watermarks.rejections()
    if rejected:
        _say(f"{len(rejected)} announcements could not become jobs:", style="yellow")
        for rejection in rejected:
            _say(f"  {rejection.announcement.get('sku', '?')}: {rejection.reason}")


def _name(
    what: str, jobs: Sequence[Job], of: Callable[[Job], str] = lambda job: str(job.status)
) -> None:
    """Name some jobs, each with what is to be said of it."""
    if jobs:
        _say(f"{what}, of them:" if len(jobs) == _NAMED else f"{what}:", style="yellow")
        for job in jobs:
            _say(f"  {job.id}  {job.key.sku} in {job.key.theme}: {of(job)}")


def _overview_as_json(ledger: Ledger, jobs: Iterable[Job]) -> dict[str, Any]:
    stats = ledger.jobs.stats()
    return {
        "total": stats.total,
        "byStatus": dict(stats.by_status),
        "totalCostUsd": str(stats.total_cost),
        "waitingForReview": {
            "total": ledger.reviews.count(),
            "longest": [job.id for job in ledger.reviews.waiting(limit=_NAMED)],
        },
        "stuck": [job.id for job in ledger.dashboard.stalled(_NAMED)],
        "givenUp": [job.id for job in ledger.dashboard.given_up(_NAMED)],
        "servicesDown": [
            {"name": breaker.name, "reason": breaker.reason} for breaker in ledger.breakers.down()
        ],
        "rejectedAnnouncements": [
            {"sku": rejection.announcement.get("sku"), "reason": rejection.reason}
            for rejection in ledger.watermarks.rejections()
        ],
        "jobs": [job_as_json(job, ledger) for job in jobs],
    }


# --- one of them -----------------------------------------------------------------------------


def _show_job(ledger: Ledger, job: Job, *, as_json: bool) -> None:
    steps = ledger.steps.of_job(job.id)
    if as_json:
        print_json(_details_as_json(ledger, job, steps))
        return
    _print_facts(job)
    _print_steps(steps)
    _print_checks(job)
    if reason := why(job, ledger):
        _say(reason, style="red" if job.status is JobStatus.FAILED else "")
    advice = what_to_do(job, ledger)
    if advice:
        _say(f"What to do: {advice}", style="bold")


def _print_facts(job: Job) -> None:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("Job", job.id)
    facts.add_row("SKU", Text(job.key.sku))
    facts.add_row("Theme", f"{job.key.theme}, background {job.variant}")
    facts.add_row("Status", status_of(job))
    facts.add_row("Cost", f"{usd(job.total_cost)} USD")
    facts.add_row("Came", f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC by {job.source}")
    if job.completed_at is not None:
        facts.add_row("Done", f"{job.completed_at:%Y-%m-%d %H:%M:%S} UTC")
    if job.media_id is not None:
        facts.add_row("In the shop", f"{job.media_id} on {job.product_id}")
    if job.retry_count:
        facts.add_row("Retries", str(job.retry_count))
    if job.review is not None:
        facts.add_row("Review", Text(_review_of(job)))
    console.print(facts)


def _review_of(job: Job) -> str:
    if job.review is Review.WAITING:
        return " ".join(["waiting:", *job.review_reasons])
    said = f"{job.review} by {job.reviewed_by}"
    return said if job.review_note is None else f"{said}: {job.review_note}"


def _print_steps(steps: Sequence[Step]) -> None:
    if not steps:
        _say("No run has finished a stage of it yet.")
        return
    table = Table("Ended (UTC)", "Stage", "Seconds", "USD", "How it went", title="Timeline")
    for step in steps:
        if step.error_code is not None:
            how = Text(step.error_code, style="red")
        else:
            how = Text("was there" if step.reused else f"made {step.provider or ''}".strip())
        ended = "" if step.ended_at is None else f"{step.ended_at:%m-%d %H:%M:%S}"
        table.add_row(ended, step.stage.value, f"{step.seconds:.1f}", usd(step.cost), how)
    console.print(table)


def _print_checks(job: Job) -> None:
    checks = from_record(job.quality)
    if not checks:
        return
    table = Table("Check", "Measure", "Value", "Should be", "", title="Checks")
    for check in checks:
        for measure in check.measures:
            value = f"{measure.value:.4g}" if isinstance(measure.value, float) else measure.value
            verdict = Text(measure.verdict, style=_VERDICT_COLOURS[measure.verdict])
            table.add_row(check.name, measure.name, str(value), measure.limit, verdict)
    console.print(table)


def _details_as_json(ledger: Ledger, job: Job, steps: Iterable[Step]) -> dict[str, Any]:
    return job_as_json(job, ledger) | {
        "variant": job.variant,
        "reviewNote": job.review_note,
        "reviewedBy": job.reviewed_by,
        "steps": [
            {
                "endedAt": None if step.ended_at is None else step.ended_at.isoformat(),
                "stage": step.stage,
                "seconds": round(step.seconds, 3),
                "costUsd": str(step.cost),
                "reused": step.reused,
                "provider": step.provider,
                "errorCode": step.error_code,
                "runId": step.run_id,
            }
            for step in steps
        ],
        "checks": [
            {"stage": check.stage, **check.as_record()} for check in from_record(job.quality)
        ],
    }


def _say(text: str, style: str = "") -> None:
    console.print(text, style=style, highlight=False)
