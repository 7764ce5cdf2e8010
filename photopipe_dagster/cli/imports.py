"""`photopipe import`: many photos at once, of a folder or of a list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import (
    AsJson,
    console,
    counted,
    errors,
    print_json,
    read_settings,
)
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.money import usd
from photopipe_dagster.core.screen import one_line
from photopipe_dagster.ledger import Ledger

if TYPE_CHECKING:  # they load the assets, which most calls do without
    from photopipe_dagster.operations.imports import Row
    from photopipe_dagster.operations.photos import Priced

_SHOWN: Final = 40
"""Photos shown one by one; the others only add to the sums."""


def import_photos(
    path: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A folder of photos named after their SKUs, or a .csv, .tsv or .parquet with the "
            "columns sku and address (and theme).",
        ),
    ],
    theme: Annotated[str | None, typer.Option(help="Default: DEFAULT_THEME.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is matched, and what it costs.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    failed: Annotated[
        Path | None,
        typer.Option(help="Where rows that failed are written, with why. Default: beside a list."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the photos match and cost, ask, and import them. Again: no job is made twice."""
    from photopipe_dagster.operations import imports
    from photopipe_dagster.publishing.sku_list import FOR_PEOPLE, refresh_skus
    from photopipe_dagster.storage.factory import object_store

    settings = read_settings()
    ledger, store = Ledger.open(settings), object_store(settings)
    chosen = ledger.themes.registry(settings).offer(theme).name
    rows = imports.read_rows(path)
    asyncio.run(refresh_skus(settings, ledger, max_age=FOR_PEOPLE))
    with Progress(console=errors, transient=True) as bar:
        looking = bar.add_task("Looking", total=len(rows))
        priced = imports.price_rows(
            settings, ledger, store, rows, chosen, lambda: bar.advance(looking)
        )
    good = [row for row, _ in priced if not row.problem]
    bad = [row for row, _ in priced if row.problem]
    total = sum((each.estimate.total for _, each in priced if each.estimate), Decimal(0))
    if not as_json:
        _show(priced, bad)
        console.print(
            f"{counted(len(rows), 'photo')}: {len(good)} of "
            f"{counted(len({row.sku for row in good}), 'product')}, {len(bad)} not matched or not "
            f"usable. Estimate: {usd(total)} USD at most."
        )
    created = known = 0
    if good and not dry_run:
        if not yes and (as_json or not typer.confirm("Import?")):
            raise PhotopipeError("Aborted. Use --yes to skip the prompt.")
        with Progress(console=errors, transient=True) as bar:
            task = bar.add_task("Importing", total=len(good))
            done = asyncio.run(
                imports.import_rows(
                    settings, ledger, store, good, chosen, lambda: bar.advance(task)
                )
            )
        created = sum(each.created for each in done)
        known = sum(bool(each.job_id) for each in done) - created
        bad += [each.row for each in done if not each.job_id]
        if not as_json:
            _show([], [each.row for each in done if not each.job_id])
            console.print(f"{counted(created, 'new job')}, {known} known, {len(bad)} failed.")
    if failed is None and path.is_file() and not dry_run:
        failed = path.with_name(f"{path.stem}.failed.csv")
    if bad and failed is not None:
        imports.write_failed(failed, bad)
        errors.print(f"Rows that failed: {failed}", soft_wrap=True)
    if as_json:
        print_json(
            {
                "photos": [
                    {"name": row.name, "sku": row.sku or None, "problem": row.problem or None}
                    for row, _ in priced
                ],
                "totalUsd": str(total),
                "created": created,
                "known": known,
                "failed": len(bad),
            }
        )
    if bad:
        raise SystemExit(1)


def _show(priced: Sequence[tuple[Row, Priced]], bad: Sequence[Row]) -> None:
    good = [(row, each.estimate) for row, each in priced if each.estimate is not None]
    if good:
        table = Table("Photo", "SKU", "USD", "", title="Matched")
        for row, estimate in good[:_SHOWN]:
            table.add_row(
                Text(one_line(row.name)),
                Text(one_line(row.sku)),
                usd(estimate.total),
                estimate.standing,
            )
        console.print(table)
        if len(good) > _SHOWN:
            console.print(f"… and {len(good) - _SHOWN} more")
    if bad:
        table = Table("Photo", "Why", title="Not imported", expand=True)
        table.columns[0].overflow = "fold"
        table.columns[0].ratio, table.columns[1].ratio = 1, 2
        for row in bad[:_SHOWN]:
            table.add_row(Text(one_line(row.name)), Text(one_line(row.problem)))
        errors.print(table)
        if len(bad) > _SHOWN:
            errors.print(f"… and {len(bad) - _SHOWN} more")
