"""`photopipe route …`: which providers make a job's pictures, in order."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from photopipe_dagster.cli.console import AsJson, console, print_json, read_settings
from photopipe_dagster.core.money import usd
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.routes import RouteStep, explain_routes

app = typer.Typer(
    help="Routes: the providers of cut-outs and backgrounds, in the order in which they are asked.",
    no_args_is_help=True,
)


@app.callback()
def routes() -> None:
    """Look at the routes of jobs."""


@app.command()
def explain(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job ID.")], as_json: AsJson = False
) -> None:
    """Show whom a job asks for its cut-out and its background, and why it has left others."""
    settings = read_settings()
    ledger = Ledger.open(settings)
    steps = explain_routes(settings, ledger, ledger.jobs.require(job))
    if as_json:
        print_json([asdict(step) | {"price": str(step.price)} for step in steps])
        return
    table = Table("For", "Provider", "USD", "How it stands")
    for step in steps:
        price = usd(step.price) if step.price else "free"
        table.add_row(step.stage.value, step.title, price, Text(_stands(step)))
    console.print(table)


def _stands(step: RouteStep) -> str:
    words = []
    if step.left is not None:
        words.append(f"left: {step.left}")
    if step.asked:
        words.append("asked")
    if step.down is not None:
        words.append(step.down)
    return "; ".join(words) or "if the one before cannot"
