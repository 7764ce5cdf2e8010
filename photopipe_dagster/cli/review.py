"""`photopipe review`: pictures that wait for a person, and what the person says."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import (
    AsJson,
    Limit,
    console,
    person,
    print_json,
    read_settings,
)
from photopipe_dagster.cli.job_view import as_json as job_as_json
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job


def review(
    job: Annotated[
        str | None,
        typer.Argument(metavar="JOB", help="Job ID (default: list what waits for review)."),
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Publish the picture.")] = False,
    reject: Annotated[
        str | None, typer.Option("--reject", metavar="REASON", help="Do not publish it.")
    ] = None,
    another_background: Annotated[
        bool,
        typer.Option("--another-background", help="Make another background; it may cost again."),
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List pictures that wait for a person, longest first, or decide on one."""
    decisions = [approve, reject is not None, another_background]
    if sum(decisions) > 1:
        raise typer.BadParameter("Choose one of --approve, --reject and --another-background.")
    if any(decisions) and job is None:
        raise typer.BadParameter("Say which job; `photopipe review` lists those that wait.")
    settings = read_settings()
    ledger = Ledger.open(settings)
    if job is None or not any(decisions):
        waiting = ledger.reviews.waiting(limit=limit) if job is None else [ledger.jobs.require(job)]
        if as_json:
            print_json([job_as_json(each, ledger) for each in waiting])
        else:
            _list(waiting, f"{settings.base_url}/review")
        return
    by = person()
    if approve:
        decided = ledger.reviews.approve(job, by=by)
        says = "approved; it goes on as soon as the daemon looks."
    elif reject is not None:
        decided = ledger.reviews.reject(job, by=by, reason=reject)
        says = "rejected; it is not published."
    else:
        decided = ledger.reviews.another_background(job, by=by)
        says = f"gets background {decided.variant} as soon as the daemon looks."
    if as_json:
        print_json(job_as_json(decided, ledger))
    else:
        console.print(f"{job} {says}")


def _list(jobs: list[Job], page: str) -> None:
    table = Table(title="Review")
    table.add_column("Job", no_wrap=True)
    table.add_column("SKU", overflow="fold")
    table.add_column("Theme")
    table.add_column("Why", ratio=1)
    for job in jobs:
        why = " ".join(job.review_reasons) if job.review is not None else "does not wait"
        table.add_row(job.id, Text(job.key.sku), job.key.theme, Text(why))
    console.print(table)
    if jobs:
        console.print(f"Their pictures: {page}", soft_wrap=True)
