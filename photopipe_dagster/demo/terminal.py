"""What the demo shows on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from photopipe_dagster.core.stages import SPECS, STAGES
from photopipe_dagster.demo.verification import DemoCheck
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import RETRIABLE, JobStatus

_STAGES_BEGUN: Final = {JobStatus.NEW: 0} | {
    JobStatus(SPECS[stage].status): number for number, stage in enumerate(STAGES, start=1)
}
"""How many of the five stages a job has begun, by its status; all but the last one are done."""

_COLOURS: Final = {JobStatus.DONE: "green", JobStatus.FAILED: "red", JobStatus.NEW: "dim"}


def stage_marks(status: JobStatus) -> str:
    """Five marks: ``●`` for each stage that is done, ``◐`` for the one under way, ``○`` to come."""
    if status is JobStatus.DONE:
        return "●" * len(STAGES)
    if status in RETRIABLE:
        return "✗"
    begun = _STAGES_BEGUN[status]
    if begun == 0:
        return "○" * len(STAGES)
    return "●" * (begun - 1) + "◐" + "○" * (len(STAGES) - begun)


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """Jobs as they are shown: by SKU, then by theme."""
    return sorted(jobs, key=lambda job: job.key)


def progress_view(jobs: Sequence[Job], expected: int) -> RenderableType:
    """The jobs on their way, and how many are done."""
    table = Table.grid(padding=(0, 2))
    for job in in_order(jobs):
        colour = _COLOURS.get(job.status, "yellow")
        table.add_row(
            Text(stage_marks(job.status), style=colour),
            job.key.sku,
            Text(job.key.theme, style="cyan"),
            Text(job.source, style="dim"),
            Text(job.status, style=colour),
        )
    done = sum(job.status is JobStatus.DONE for job in jobs)
    total = Table.grid(padding=(0, 2))
    total.add_row(
        ProgressBar(total=max(1, expected), completed=done, width=40), f"{done} of {expected} done"
    )
    return Group(table, total)


def results_table(jobs: Sequence[Job]) -> Table:
    """What each job cost and how long it took, with the sum at the foot."""
    total = sum((job.total_cost for job in jobs), Decimal(0))
    table = Table(title="Photos", show_footer=True)
    table.add_column("SKU", "Total")
    table.add_column("Theme")
    table.add_column("Came by")
    table.add_column("Status")
    table.add_column("USD", f"{total:.2f}", justify="right")
    table.add_column("Seconds", justify="right")
    for job in in_order(jobs):
        colour = _COLOURS.get(job.status, "yellow")
        table.add_row(
            job.key.sku,
            job.key.theme,
            job.source,
            Text(job.status, style=colour),
            f"{job.total_cost:.2f}",
            seconds_of(job),
        )
    return table


def seconds_of(job: Job) -> str:
    """From the moment a run began with a job to its end; empty if it has not ended."""
    began, ended = job.started_at or job.queued_at, job.completed_at or job.failed_at
    return "" if began is None or ended is None else f"{(ended - began).total_seconds():.1f}"


def failures_of(jobs: Sequence[Job]) -> list[str]:
    """A line for each job that is not done: what failed, why, or where it stands."""
    return [
        f"{job.key.sku} in {job.key.theme}: {job.status}"
        + (f", {job.reason}" if job.reason else "")
        for job in in_order(jobs)
        if job.status is not JobStatus.DONE
    ]


def check_line(finding: DemoCheck) -> Text:
    """A finding with its mark."""
    mark = Text("✓ ", style="green") if finding.ok else Text("✗ ", style="bold red")
    return mark + Text(finding.says)
