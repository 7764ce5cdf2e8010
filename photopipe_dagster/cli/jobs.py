"""Commands that do something about jobs."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from photopipe_dagster.cli.batch import begin
from photopipe_dagster.cli.console import (
    AsJson,
    console,
    person,
    print_json,
    read_moment,
    read_settings,
)
from photopipe_dagster.cli.job_view import as_json as job_as_json
from photopipe_dagster.core.errors import BUDGET, ErrorCode, InvalidTransitionError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import can_cancel, can_retry
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.targets.base import Withdrawn
from photopipe_dagster.targets.registry import required_target

JobIds = Annotated[list[str], typer.Argument(metavar="JOB", help="Job IDs.")]


def retry(
    jobs: Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="Job IDs.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Instead of jobs: all that failed for good.")
    ] = False,
    code: Annotated[
        list[ErrorCode] | None,
        typer.Option(help="With --failed: only this code; repeat for several."),
    ] = None,
    theme: Annotated[str | None, typer.Option(help="With --failed: only this theme.")] = None,
    sku: Annotated[
        str | None,
        typer.Option(help="With --failed: only where the SKU or the title contains this."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="With --failed: 90m, 24h, 7d, or a date like 2026-11-01.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --failed: do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let jobs go on that failed, or that a person stopped; what was made and paid is reused.

    With --failed, it says how many they are and what they cost, asks, and starts a batch. Photos
    that wait for the shop, a provider or the budget continue automatically; naming one of them has
    what it waits for tried at once.
    """
    if failed:
        from photopipe_dagster.costs.backfill_plan import Failed

        if jobs:
            raise typer.BadParameter("Name jobs, or say --failed.")
        begin(Failed(code or (), read_moment(since), theme, sku), yes=yes, as_json=as_json)
        return
    if not jobs:
        raise typer.BadParameter("Name jobs, or say --failed for all that failed for good.")
    ledger = Ledger.open(read_settings())
    names = list(dict.fromkeys(jobs))
    for name in names:  # all are looked at before the first is retried
        ledger.jobs.require(name)
    retried = []
    for name in names:
        job = ledger.transitions.retry(name)
        if job.waiting_for is not None:
            ledger.breakers.ask_now(job.waiting_for)
        retried.append(job)
        if as_json:
            continue
        when = "there is budget for it"
        if job.waiting_for is None:
            when = "the daemon looks"
        elif job.waiting_for != BUDGET:
            when = f"{job.waiting_for} works again, which is tried now"
        console.print(f"{name} goes out again as soon as {when}.")
    if as_json:
        print_json([job_as_json(job, ledger) for job in retried])


def cancel(jobs: JobIds, as_json: AsJson = False) -> None:
    """Stop jobs that wait: nothing more is done or paid for them until somebody retries them.

    One that a run works on is finished; one that is published is taken off with unpublish.
    """
    ledger = Ledger.open(read_settings())
    names = list(dict.fromkeys(jobs))
    for name in names:  # all are looked at before the first is stopped
        job = ledger.jobs.require(name)
        if not can_cancel(job):
            raise InvalidTransitionError(
                f"Job {name} is {job.status}; only one that waits can be cancelled. Nothing was "
                "cancelled."
            )
    stopped = [ledger.transitions.cancel(name, by=person()) for name in names]
    if as_json:
        print_json([job_as_json(job, ledger) for job in stopped])
        return
    for name in names:
        console.print(f"{name} is stopped; `photopipe retry {name}` lets it go on.")


def publish(jobs: JobIds, as_json: AsJson = False) -> None:
    """Publish DONE jobs again: puts back what was taken off; what is made already is not paid.

    What has been changed since, such as a theme's prompt, is made again first, and paid.
    """
    ledger = Ledger.open(read_settings())
    for name in dict.fromkeys(jobs):  # all are looked at before the first goes out
        job = ledger.jobs.require(name)
        if job.status is not JobStatus.DONE:
            raise InvalidTransitionError(
                f"Job {name} is {job.status}; only a DONE one can be published again. Nothing was "
                "sent out."
            )
    sent = [ledger.transitions.publish_again(name) for name in dict.fromkeys(jobs)]
    if as_json:
        print_json([job_as_json(job, ledger) for job in sent])
        return
    for job in sent:
        console.print(f"{job.id} goes out again: the daemon takes it up within seconds.")


def unpublish(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job ID.")],
) -> None:
    """Take a job's picture off its product; what it replaced comes back in its place."""
    from photopipe_dagster.publishing import unpublish
    from photopipe_dagster.runtime.services import open_target

    settings = read_settings()
    shop, ledger = required_target(settings).title, Ledger.open(settings)

    async def run() -> Withdrawn:
        async with open_target(settings) as target:
            return await unpublish.unpublish(settings, ledger, target, job)

    done, left = asyncio.run(run()), ledger.jobs.require(job)
    for media_id in done.taken:
        console.print(f"{job}: {media_id} is off its product; its file stays in {shop}.")
    if not done.taken:
        console.print(f"{job}: nothing of it is on a product.")
    if done.restored is not None:
        console.print(f"{done.restored}, which stood there before, is back in its place.")
    if done.lost is not None:
        console.print(f"{done.lost}, which stood there before, is gone from {shop}.")
    again = f"`photopipe publish {job}`"
    if left.retry_at is not None:
        again = f"nothing to do, it is tried again from {left.retry_at:%Y-%m-%d %H:%M} UTC"
    elif can_retry(left):
        again = f"`photopipe retry {job}`"
    console.print(f"To publish it again: {again}.", soft_wrap=True)
