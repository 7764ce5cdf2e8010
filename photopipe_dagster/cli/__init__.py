"""The command line: `photopipe …`. Each module has the commands of one kind; here they register."""

from __future__ import annotations

import typer

from photopipe_dagster.cli import (
    backfill,
    costs,
    doctor,
    jobs,
    prune,
    review,
    serving,
    status,
    submit,
    tokens,
)
from photopipe_dagster.cli.screen import errors
from photopipe_dagster.errors import PhotopipeError

app = typer.Typer(
    help="Product photos in, pictures that sell out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serving.demo)
app.command()(serving.dev)
app.command()(serving.api)
app.command()(serving.sandbox)
app.command()(submit.submit)
app.command()(status.status)
app.command()(review.review)
app.command()(jobs.retry)
app.command()(jobs.unpublish)
app.command()(costs.costs)
app.command()(doctor.doctor)
app.command()(prune.prune)
app.add_typer(backfill.app, name="backfill")
app.add_typer(tokens.app, name="token")


def main() -> None:
    """Run a command; what users can mend is said in one line, without a stack trace."""
    try:
        app()
    except (PhotopipeError, OSError) as error:
        errors.print(f"[red]{error}[/red]")
        raise SystemExit(1) from None
