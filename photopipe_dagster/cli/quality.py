"""`photopipe quality …`: what checks and people said of pictures, and limits of the shop's own."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import (
    AsJson,
    console,
    person,
    print_json,
    read_moment,
    read_settings,
)
from photopipe_dagster.core.csv_cells import harmless
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.publishing.seen_pictures import seen_pictures
from photopipe_dagster.quality.calibration import Calibration
from photopipe_dagster.quality.report import Row, Tried, counted, tried

app = typer.Typer(
    help="See what checks and people said of pictures, and set limits from what people said.",
    no_args_is_help=True,
)

Since = Annotated[
    str | None, typer.Option(help="Only since then: 90m, 24h, 7d, or a date like 2026-11-01.")
]


class Grouping(StrEnum):
    """What pictures can be counted by."""

    THEME = "theme"
    RISK = "risk"
    KIND = "kind"


@app.command()
def report(
    by: Annotated[
        list[Grouping] | None,
        typer.Option(help="Count by this; repeat for several. Default: theme, risk, kind."),
    ] = None,
    since: Since = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: the pictures.")] = False,
    limits_as_csv: Annotated[
        bool, typer.Option("--limits-csv", help="Print CSV: what other limits would have done.")
    ] = False,
) -> None:
    """Show what went out, was held, approved and rejected, and what other limits would have done.

    A limit is tried at half of its value and at up to twice of it.
    """
    if sum((as_json, as_csv, limits_as_csv)) > 1:
        raise typer.BadParameter("Choose one of --json, --csv and --limits-csv.")
    groups = tuple(by or Grouping)
    pictures = list(seen_pictures(Ledger.open(read_settings()), read_moment(since)))
    rows, limits = counted(pictures, groups), tried(pictures)
    if as_json:
        shown = [
            {**asdict(row), "group": dict(zip(groups, row.group, strict=True))} for row in rows
        ]
        print_json({"pictures": shown, "limits": [asdict(each) for each in limits]})
    elif as_csv:
        _print_pictures_as_csv(groups, rows)
    elif limits_as_csv:
        _print_limits_as_csv(limits)
    else:
        _print_pictures(groups, rows)
        _print_limits(limits)


@app.command()
def recalibrate(
    since: Since = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write what is proposed; runs that begin then use it.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Go back to the limits that ship.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Propose limits from what people approved and rejected. Nothing is written without --apply.

    Themes that have limits of their own keep them.
    """
    if apply and reset:
        raise typer.BadParameter("Choose one of --apply and --reset.")
    ledger = Ledger.open(read_settings())
    if reset:
        ledger.calibrations.set({}, by=person())
        console.print("The limits are those that ship, from the next run on.")
        return
    # Brings NumPy along, which no other command waits for.
    from photopipe_dagster.quality.recalibration import Proposal, propose

    now = Calibration.of_record(ledger.calibrations.current())
    proposal: Proposal = propose(list(seen_pictures(ledger, read_moment(since))), now)
    if apply and proposal.changes:
        ledger.calibrations.set(proposal.calibration.as_record(), by=person())
    if as_json:
        print_json({**asdict(proposal), "applied": apply and proposal.changes})
        return
    console.print(f"People approved {proposal.approved} pictures and rejected {proposal.rejected}.")
    for limit in proposal.limits:
        console.print(
            f"{limit.measure}: {limit.after} instead of {limit.before}. Of the {limit.decisions} "
            f"pictures between the two people rejected {limit.rejected}. It would hold "
            f"{limit.holds_more} more of those that went out by themselves, and would not have "
            f"held {limit.holds_less} of those that people decided on.",
            soft_wrap=True,
        )
    if (risk := proposal.risk) is not None:
        console.print(
            f"risk: read another way, fitted to {risk.decisions} decisions; its error (Brier) is "
            f"{risk.brier_after:.3f} instead of {risk.brier_before:.3f}. It would hold "
            f"{risk.holds_more} more of those that went out by themselves, and would not have held "
            f"{risk.holds_less} of those that people decided on.",
            soft_wrap=True,
        )
    for why in proposal.kept:
        console.print(why, soft_wrap=True)
    if not proposal.changes:
        console.print("Nothing is proposed: people's decisions speak for the limits as they are.")
    elif apply:
        console.print("Written: it counts from the next run on. --reset goes back.")
    else:
        console.print("Nothing is written: --apply does that.")


def _print_pictures(groups: Sequence[Grouping], rows: Sequence[Row]) -> None:
    table = Table(title="Pictures")
    for group in groups:
        table.add_column(group.capitalize(), overflow="fold")
    for name in ("By itself", "Held", "Waits", "Approved", "Rejected", "Another background"):
        table.add_column(name, justify="right")
    table.add_column("Why rejected", ratio=1)
    for row in rows:
        why = Text("; ".join(f"{reason} ({count})" for reason, count in row.reasons))
        table.add_row(*map(Text, row.group), *map(str, _counts(row)), why)
    console.print(table)


def _counts(row: Row) -> tuple[int, ...]:
    return (
        row.by_itself,
        row.held,
        row.waits,
        row.approved,
        row.rejected,
        row.another_background,
    )


def _print_limits(limits: Sequence[Tried]) -> None:
    table = Table(title="Limits: in force (*) and tried")
    for name in ("Measure", "Limit"):
        table.add_column(name, no_wrap=True)
    for name in ("Holds", "Of what went out", "Rejected: caught", "missed", "Approved: spared"):
        table.add_column(name, justify="right")
    last = ""
    for each in limits:
        name, last = ("" if each.measure == last else each.measure), each.measure
        mark = " *" if each.in_force else ""
        numbers = (each.holds, each.more, each.caught, each.missed, each.spared)
        table.add_row(name, f"{each.limit}{mark}", *map(str, numbers))
    console.print(table)


def _print_pictures_as_csv(groups: Sequence[Grouping], rows: Sequence[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = ("by_itself", "held", "waits", "approved", "rejected", "another_background")
    writer.writerow([*groups, *names, "why_rejected"])
    for row in rows:
        why = "; ".join(f"{reason} ({count})" for reason, count in row.reasons)
        writer.writerow([*map(harmless, row.group), *_counts(row), harmless(why)])


def _print_limits_as_csv(limits: Sequence[Tried]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*Tried.__dataclass_fields__])
    for each in limits:
        writer.writerow(asdict(each).values())
