"""`photopipe tray`: files whose name does not say which product they show."""

from __future__ import annotations

import asyncio
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
from photopipe_dagster.core.screen import one_line
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.source_files import SourceFile


def tray(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="ID of a file (default: list all).")
    ] = None,
    sku: Annotated[str | None, typer.Option(help="The SKU of the product that it shows.")] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Look at it no more; it stays where it is.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List files that no SKU was found for, newest first, or say what one of them is."""
    if file is not None and drop == (sku is not None):
        raise typer.BadParameter("Say --sku SKU or --drop.")
    settings = read_settings()
    ledger = Ledger.open(settings)
    if file is None:
        _list(ledger.source_files.waiting(limit=limit), as_json=as_json)
        return
    if sku is None:
        dropped = ledger.source_files.drop(file, by=person())
        answer: dict[str, object] = {"file": dropped.name, "state": dropped.state}
        says = "dropped; it stays where it is."
    else:
        from photopipe_dagster.operations.tray import give_sku
        from photopipe_dagster.storage.factory import object_store

        giving = give_sku(settings, ledger, object_store(settings), file, sku, by=person())
        accepted = asyncio.run(giving)
        answer = {"jobId": accepted.key.job_id, "created": accepted.created}
        says = f"job {accepted.key.job_id} ({'created' if accepted.created else 'known'})"
    if as_json:
        print_json(answer)
    else:
        console.print(f"{file}: {says}")


def _list(files: list[SourceFile], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "id": file.id,
                    "source": file.source,
                    "name": file.name,
                    "state": file.state,
                    "reason": file.reason,
                    "seenAt": file.seen_at and file.seen_at.isoformat(),
                }
                for file in files
            ]
        )
        return
    table = Table(title="Tray")
    table.add_column("File", no_wrap=True)
    table.add_column("Name", overflow="fold")
    table.add_column("Why", ratio=1)
    for file in files:
        table.add_row(file.id, Text(one_line(file.name)), Text(file.reason or ""))
    console.print(table)
