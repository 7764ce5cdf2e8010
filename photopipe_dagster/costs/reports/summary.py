"""A cost report in words and pictures, as Markdown for the Dagster UI and for messages."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Final

from photopipe_dagster.core.money import usd
from photopipe_dagster.costs.reports.chart import bar_chart
from photopipe_dagster.costs.reports.costs import GROUPS, CostReport

LINES: Final = 20
"""Lines of a table that are shown; the stored report has all of them."""


def as_text(report: CostReport) -> str:
    """The report in a few lines, for a message."""
    lines = [f"{usd(report.total)} USD for {report.published} published photos."]
    if report.cost_a_photo is not None:
        lines.append(f"{usd(report.cost_a_photo)} USD a photo.")
    if report.forecast is not None:
        lines.append(f"If it goes on like this, the month ends at {usd(report.forecast)} USD.")
    discarded, unknown = report.amount("discarded_usd"), report.amount("unknown_usd")
    if discarded:
        lines.append(f"{usd(discarded)} USD were paid for what was lost or unusable.")
    if unknown:
        lines.append(f"{usd(unknown)} USD are counted for calls that nobody answered.")
    return " ".join(lines)


def as_tables(report: CostReport) -> str:
    """What it was spent on, in one Markdown table for each way to look at it."""
    if not len(report.rows):
        return "Nothing was spent."
    return "\n\n".join(_table(column, report.by(column)) for column in reversed(GROUPS))


def as_chart(report: CostReport, title: str) -> str:
    """Days as bars, as a picture in Markdown."""
    svg = base64.b64encode(bar_chart(report.days, title).encode()).decode()
    return f"![{title}](data:image/svg+xml;base64,{svg})"


def _table(column: str, amounts: list[tuple[str, Decimal]]) -> str:
    lines = [f"| {column} | USD |", "|---|---:|"]
    lines += [f"| {_cell(name)} | {usd(amount)} |" for name, amount in amounts[:LINES]]
    rest = amounts[LINES:]
    if rest:
        others = sum((each[1] for each in rest), Decimal(0))
        lines.append(f"| {len(rest)} more | {usd(others)} |")
    return "\n".join(lines)


def _cell(name: str) -> str:
    """A SKU may hold any character."""
    return name.replace("\\", "\\\\").replace("|", "\\|")
