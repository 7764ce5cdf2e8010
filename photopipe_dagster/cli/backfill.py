"""`photopipe backfill …`: photos that people want again, or in another theme."""

from __future__ import annotations

import getpass
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from photopipe_dagster.cli.screen import (
    AsJson,
    console,
    print_json,
    read_moment,
    read_settings,
    usd,
)
from photopipe_dagster.errors import ErrorCode, PhotopipeError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.batches import Batch
from photopipe_dagster.ledger.statuses import JobStatus

app = typer.Typer(
    help="Have photos made again, or in another theme: what it costs first, then a few at a time, "
    "so that fresh photos overtake.",
    no_args_is_help=True,
)

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The batch by its id.")]


@app.command()
def start(
    theme: Annotated[str | None, typer.Option(help="Set known photos in this theme.")] = None,
    skus: Annotated[
        Path | None,
        typer.Option(help="With --theme: a file of SKUs, one a line; - for standard input."),
    ] = None,
    changed: Annotated[
        str | None,
        typer.Option(help="Make what is done in this theme again where its prompt changed."),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Try what failed for good again.")
    ] = False,
    code: Annotated[
        list[ErrorCode] | None, typer.Option(help="With --failed: only this code; repeatable.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="With --failed: 90m, 24h, 7d, or a date like 2026-11-01.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what it would cost, ask, and begin."""
    from photopipe_dagster import backfills
    from photopipe_dagster.estimate import estimating
    from photopipe_dagster.storage.factory import object_store

    if [theme is not None, changed is not None, failed].count(True) != 1:
        raise PhotopipeError("Say one of --theme THEME, --changed THEME and --failed.")
    settings = read_settings()
    ledger, store = Ledger.open(settings), object_store(settings)
    for name in (theme, changed):
        if name is not None and name not in settings.supported_themes:
            raise PhotopipeError(
                f"There is no theme {name!r}; choose one of {', '.join(settings.supported_themes)}."
            )
    with estimating(settings, ledger, store) as prices:
        if theme is not None:
            selection = backfills.in_theme(ledger, theme, _skus(skus))
        elif changed is not None:
            selection = backfills.changed(ledger, prices, store, changed)
        else:
            selection = backfills.failed(ledger, code or (), read_moment(since))
    with estimating(settings, ledger, store) as prices:
        estimates = backfills.estimate(prices, store, selection.keys, again=True)
    cost = sum((each.total for each in estimates), Decimal(0))
    if not as_json:
        console.print(f"{len(selection.keys)} photos: {selection.what}")
        console.print(f"Estimate: {usd(cost)} USD at most; what is stored is found again.")
    if not selection.keys:
        raise SystemExit(0)
    if not yes and (as_json or not typer.confirm("Begin?")):
        raise PhotopipeError("Nothing was begun; --yes begins without asking.")
    batch = ledger.batches.start(
        selection.keys, what=selection.what, by=getpass.getuser(), estimate=cost
    )
    if as_json:
        print_json(_as_json(batch))
        return
    console.print(f"Batch {batch.id} has begun: `photopipe backfill show {batch.id}`.")


@app.command("list")
def list_batches(as_json: AsJson = False) -> None:
    """Show batches, newest first."""
    batches = Ledger.open(read_settings()).batches.newest()
    if as_json:
        print_json([_as_json(batch) for batch in batches])
        return
    table = Table("Batch", "What", "Begun", "Photos", "Waiting", "Ended", "State")
    for batch in batches:
        table.add_row(
            batch.id,
            batch.what,
            f"{batch.created_at:%Y-%m-%d %H:%M}",
            str(batch.total),
            str(batch.waiting),
            str(batch.ended),
            _state(batch),
        )
    console.print(table)


@app.command()
def show(
    batch: Annotated[str, typer.Argument(help="The batch by its id.")], as_json: AsJson = False
) -> None:
    """Show how far a batch is."""
    found = _found(Ledger.open(read_settings()), batch)
    if as_json:
        print_json(_as_json(found))
        return
    console.print(f"Batch {found.id}: {found.what} ({found.started_by}), {_state(found)}")
    console.print(f"  {found.ended} of {found.total} ended, {found.waiting} wait")
    for status, count in sorted(found.by_status.items()):
        console.print(f"  {status}: {count}")
    console.print(f"  Estimate {usd(found.estimate)} USD")


@app.command()
def cancel(batch: BatchId) -> None:
    """Let nothing more of a batch go; what is under way is finished."""
    ledger = Ledger.open(read_settings())
    before = _found(ledger, batch)
    ledger.batches.cancel(batch)
    console.print(f"Batch {batch} is cancelled: {before.waiting} photos will not be made.")


def _found(ledger: Ledger, batch_id: str) -> Batch:
    batch = ledger.batches.get(batch_id)
    if batch is None:
        raise PhotopipeError(f"There is no batch {batch_id}; `photopipe backfill list` shows them.")
    return batch


def _state(batch: Batch) -> str:
    if batch.cancelled_at is not None:
        return "cancelled"
    return "ended" if batch.ended == batch.total else "under way"


def _as_json(batch: Batch) -> dict[str, object]:
    return {
        "id": batch.id,
        "what": batch.what,
        "state": _state(batch),
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
    text = sys.stdin.read() if str(file) == "-" else file.read_text()
    return [line.strip() for line in text.splitlines() if line.strip()]
