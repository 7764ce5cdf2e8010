"""The command line: `photopipe …`. Each module has the commands of one kind; here they register."""

from __future__ import annotations

import sqlite3

import typer
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from photopipe_dagster.cli import (
    batch,
    bench,
    collection,
    costs,
    doctor,
    download,
    imports,
    jobs,
    prune,
    quality,
    repair,
    review,
    route,
    scene,
    serving,
    settings,
    status,
    submit,
    themes,
    tokens,
    tray,
)
from photopipe_dagster.cli.console import print_error
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.ledger.database import described

_BEGIN, _PHOTOS, _RUN = "Getting started", "Photos", "Operations"

app = typer.Typer(
    help="Product photos in, pictures that sell out. `photopipe demo` shows all of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel=_BEGIN)(serving.demo)
app.command(rich_help_panel=_BEGIN)(serving.dev)
app.command(rich_help_panel=_BEGIN)(doctor.doctor)
app.command(rich_help_panel=_PHOTOS)(submit.submit)
app.command("import", rich_help_panel=_PHOTOS)(imports.import_photos)
app.command(rich_help_panel=_PHOTOS)(tray.tray)
app.command(rich_help_panel=_PHOTOS)(status.status)
app.command(rich_help_panel=_PHOTOS)(download.download)
app.command(rich_help_panel=_PHOTOS)(review.review)
app.command(rich_help_panel=_PHOTOS)(repair.repair)
app.command(rich_help_panel=_PHOTOS)(jobs.retry)
app.command(rich_help_panel=_PHOTOS)(jobs.cancel)
app.command(rich_help_panel=_PHOTOS)(jobs.publish)
app.command(rich_help_panel=_PHOTOS)(jobs.unpublish)
app.command(rich_help_panel=_PHOTOS)(costs.costs)
app.add_typer(route.app, name="route", rich_help_panel=_PHOTOS)
app.add_typer(scene.app, name="scene", rich_help_panel=_PHOTOS)
app.add_typer(collection.app, name="collection", rich_help_panel=_PHOTOS)
app.add_typer(quality.app, name="quality", rich_help_panel=_PHOTOS)
app.add_typer(themes.app, name="theme", rich_help_panel=_PHOTOS)
app.add_typer(batch.app, name="batch", rich_help_panel=_PHOTOS)
app.add_typer(batch.app, name="backfill", hidden=True)  # what earlier versions called it
app.command(rich_help_panel=_RUN)(serving.api)
app.command(rich_help_panel=_RUN)(serving.sandbox)
app.command(rich_help_panel=_RUN)(doctor.reconcile)
app.command(rich_help_panel=_RUN)(prune.prune)
app.command(rich_help_panel=_RUN)(settings.settings)
app.add_typer(tokens.app, name="token", rich_help_panel=_RUN)
app.command(
    rich_help_panel=_RUN,
    # What follows a benchmark's name is its own.
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)(bench.bench)


def main() -> None:
    """Run a command; what users can fix is said in one line, without a stack trace."""
    try:
        app()
    except PhotopipeError as error:
        print_error(str(error))
    except OSError as error:
        print_error(_described(error))
    except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
        print_error(described(error))
    else:
        return
    raise SystemExit(1)


def _described(error: OSError) -> str:
    """What a person reads of a file, a folder or a connection that cannot be used."""
    if error.filename is None or error.strerror is None:
        return f"{error}."
    return (
        f"{error.filename} cannot be used: {error.strerror}. See that it is there, that you may "
        "read and write it, and that its disk has room; DATA_DIR names the folder of all data."
    )
