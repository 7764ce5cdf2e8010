"""`photopipe costs`: what was spent, and what may be."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import (
    AsJson,
    console,
    counted,
    period_as_json,
    print_json,
    read_moment,
    read_settings,
)
from photopipe_dagster.core.csv_cells import harmless
from photopipe_dagster.core.money import usd
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.savings import Savings, savings
from photopipe_dagster.ledger import Ledger


class Grouping(StrEnum):
    """What costs can be added up by."""

    DAY = "day"
    THEME = "theme"
    PROVIDER = "provider"
    SKU = "sku"
    STAGE = "stage"
    STATE = "state"


_USUAL = (Grouping.PROVIDER, Grouping.STAGE, Grouping.STATE)


def costs(
    by: Annotated[
        list[Grouping] | None,
        typer.Option(help="Add up by this; repeat for several. Default: provider, stage, state."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only since then: 90m, 24h, 7d, or a date like 2026-11-01.")
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Show what was spent on what, today and this month, and the limits. Days are UTC."""
    if as_json and as_csv:
        raise typer.BadParameter("Choose one of --json and --csv.")
    settings = read_settings()
    ledger = Ledger.open(settings)
    begin = read_moment(since)
    groups = tuple(by or _USUAL)
    rows = ledger.spending.by(*groups, since=begin)
    if as_csv:
        _print_csv(groups, rows)
    elif as_json:
        print_json(_as_json(ledger, rows, begin) | _saved_as_json(settings, ledger, begin))
    else:
        _print_table(groups, rows)
        _print_sums(ledger, begin)
        _print_saved(savings(settings, ledger, begin))


def _print_table(groups: Sequence[Grouping], rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title="Spending")
    for group in groups:
        table.add_column(_heading(group), overflow="fold")
    table.add_column("Calls", justify="right")
    table.add_column("USD", justify="right")
    for row in rows:
        cells = [Text(str(row[group])) for group in groups]
        table.add_row(*cells, str(row["attempts"]), usd(row["amount"]))
    console.print(table)


def _heading(group: Grouping) -> str:
    return "SKU" if group is Grouping.SKU else group.capitalize()


def _print_sums(ledger: Ledger, begin: datetime | None) -> None:
    unknown, discarded = ledger.spending.lost(begin)
    since = "" if begin is None else f" since {begin:%Y-%m-%d %H:%M} UTC"
    console.print(f"Total{since} {usd(ledger.spending.total(begin))} USD, of which")
    console.print(f"  {usd(unknown)} USD for calls that nobody answered (perhaps not billed)")
    console.print(f"  {usd(discarded)} USD for what is lost or unusable")
    for period in (ledger.budget.day(), ledger.budget.month()):
        console.print(period.describe())


def _print_saved(saved: Savings) -> None:
    if saved.pictures:
        console.print(
            f"{counted(saved.pictures, 'background')} from scenes: {usd(saved.total)} USD saved"
        )


def _saved_as_json(settings: Settings, ledger: Ledger, begin: datetime | None) -> dict[str, object]:
    saved = savings(settings, ledger, begin)
    return {"scenes": {"backgrounds": saved.pictures, "saved": str(saved.total)}}


def _print_csv(groups: Sequence[Grouping], rows: Sequence[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*groups, "calls", "usd"])
    for row in rows:
        named = (harmless(row[group]) for group in groups)
        writer.writerow([*named, row["attempts"], f"{row['amount']:f}"])


def _as_json(
    ledger: Ledger, rows: Sequence[Mapping[str, Any]], begin: datetime | None
) -> dict[str, object]:
    unknown, discarded = ledger.spending.lost(begin)
    shown: dict[str, object] = {
        "since": None if begin is None else begin.isoformat(),
        "spending": [{**row, "amount": str(row["amount"])} for row in rows],
        "total": str(ledger.spending.total(begin)),
        "unknown": str(unknown),
        "discarded": str(discarded),
    }
    for period in (ledger.budget.day(), ledger.budget.month()):
        shown[period.span] = period_as_json(period)
    return shown
