"""`photopipe batch …`: photos that people want again, or in another theme."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import (
    AsJson,
    console,
    counted,
    errors,
    person,
    print_json,
    read_moment,
    read_settings,
)
from photopipe_dagster.core.errors import ErrorCode, PhotopipeError
from photopipe_dagster.core.money import usd
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.batches import Batch
from photopipe_dagster.ledger.jobs.statuses import JobStatus

if TYPE_CHECKING:
    from photopipe_dagster.costs.backfill_plan import BatchRequest

app = typer.Typer(
    help="Have many photos made again, or in another theme: says what it costs first, and lets "
    "photos that come in meanwhile overtake.",
    no_args_is_help=True,
)

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="Batch ID.")]


@app.command()
def start(
    theme: Annotated[str | None, typer.Option(help="Put known photos in this theme.")] = None,
    skus: Annotated[
        Path | None,
        typer.Option(help="With --theme: a file of SKUs, one a line; - for standard input."),
    ] = None,
    changed: Annotated[
        str | None,
        typer.Option(help="Remake published photos of this theme that would look different today."),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Retry photos that failed permanently.")
    ] = False,
    code: Annotated[
        list[ErrorCode] | None,
        typer.Option(help="With --failed: only this code; repeat for several."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="With --failed: 90m, 24h, 7d, or a date like 2026-11-01.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the estimated cost, ask, and start.

    Examples: --theme luxury --skus skus.txt, --changed kitchen, --failed --code S3_ERROR.
    """
    from photopipe_dagster.costs import backfill_plan

    if [theme is not None, changed is not None, failed].count(True) != 1:
        raise PhotopipeError("Say one of --theme THEME, --changed THEME and --failed.")
    wanted: backfill_plan.BatchRequest = backfill_plan.Failed(code or (), read_moment(since))
    if theme is not None:
        wanted = backfill_plan.InTheme(theme, _skus(skus))
    elif changed is not None:
        wanted = backfill_plan.Changed(changed)
    begin(wanted, yes=yes, as_json=as_json)


def begin(wanted: BatchRequest, *, yes: bool, as_json: bool) -> None:
    """Say what photos that a person asks for would cost, ask, and start a batch of them.

    Raises:
        PhotopipeError: It was not confirmed.
    """
    from photopipe_dagster.costs import backfill_plan
    from photopipe_dagster.storage.factory import object_store

    settings = read_settings()
    ledger = Ledger.open(settings)
    services = settings, ledger, object_store(settings)
    selection = backfill_plan.select_photos(*services, wanted)
    cost = backfill_plan.price(*services, selection)
    if selection.unknown:
        errors.print(
            f"{counted(len(selection.unknown), 'unknown SKU')}: {', '.join(selection.unknown)}",
            style="yellow",
            soft_wrap=True,
        )
    if not as_json:
        photos = counted(len(selection.keys), "photo")
        console.print(f"{photos}: {selection.what}")
        if selection.done:
            console.print(f"Left out, already published in that theme: {selection.done}.")
        if selection.stopped:
            console.print(f"Left out, cancelled or rejected: {selection.stopped}.")
        if selection.keys:
            console.print(f"Estimate: {usd(cost)} USD at most; stored pictures are reused.")
    if not selection.keys:
        if as_json:
            print_json(None)
        raise SystemExit(0)
    if not yes and (as_json or not typer.confirm("Start?")):
        raise PhotopipeError("Aborted. Use --yes to skip the prompt.")
    batch = ledger.batches.start(selection.keys, what=selection.what, by=person(), estimate=cost)
    if as_json:
        print_json(_as_json(batch))
        return
    console.print(f"Batch {batch.id} started: `photopipe batch show {batch.id}`.")


@app.command("list")
def list_batches(as_json: AsJson = False) -> None:
    """Show batches, newest first."""
    batches = Ledger.open(read_settings()).batches.newest()
    if as_json:
        print_json([_as_json(batch) for batch in batches])
        return
    table = Table(title="Batches")
    table.add_column("Batch", no_wrap=True)
    table.add_column("What", overflow="fold")
    table.add_column("Started (UTC)", no_wrap=True)
    table.add_column("Ended", justify="right")
    table.add_column("State", no_wrap=True)
    for batch in batches:
        table.add_row(
            batch.id,
            Text(batch.what),
            f"{batch.created_at:%Y-%m-%d %H:%M}",
            f"{batch.ended} of {batch.total}",
            batch.state,
        )
    console.print(table)


@app.command()
def show(batch: BatchId, as_json: AsJson = False) -> None:
    """Show the progress of a batch."""
    found = Ledger.open(read_settings()).batches.require(batch)
    if as_json:
        print_json(_as_json(found))
        return
    says = f"Batch {found.id}: {found.what} ({found.started_by}), {found.state}"
    console.print(says, soft_wrap=True)
    console.print(f"  {found.ended} of {found.total} ended, {found.waiting} wait")
    for status, count in sorted(found.by_status.items()):
        console.print(f"  {status}: {count}")
    console.print(f"  Estimate {usd(found.estimate)} USD")


@app.command()
def cancel(batch: BatchId, as_json: AsJson = False) -> None:
    """Cancel the rest of a batch; photos in progress are finished."""
    ledger = Ledger.open(read_settings())
    before = ledger.batches.require(batch)
    after = ledger.batches.cancel(batch)
    if as_json:
        print_json(_as_json(after))
        return
    if after.cancelled_at is None:
        console.print(f"Nothing left to cancel in batch {batch}: it stays {after.state}.")
        return
    photos = counted(before.waiting, "photo")
    console.print(f"Batch {batch} is cancelled: {photos} will not be made.")


def _as_json(batch: Batch) -> dict[str, object]:
    return {
        "id": batch.id,
        "what": batch.what,
        "state": batch.state,
        "startedBy": batch.started_by,
        "createdAt": batch.created_at.isoformat(),
        "estimate": str(batch.estimate),
        "total": batch.total,
        "waiting": batch.waiting,
        "byStatus": {status.value: batch.by_status.get(status, 0) for status in JobStatus},
    }


def _skus(file: Path | None) -> list[str] | None:
    """One SKU a line; blank lines are nothing."""
    if file is None:
        return None
    text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    return [line.strip() for line in text.splitlines() if line.strip()]
