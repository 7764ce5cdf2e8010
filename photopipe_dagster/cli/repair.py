"""`photopipe repair`: a cut-out made with another program in the place of the stored one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photopipe_dagster.cli.console import AsJson, console, person, print_json, read_settings
from photopipe_dagster.cli.job_view import as_json as job_as_json
from photopipe_dagster.ledger import Ledger


def repair(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job ID.")],
    cutout: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="PNG of the whole photo, with a transparent ground."
        ),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Use the cut-out before the last repair again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Use a cut-out that was made with another program, or take a repair back.

    The photo's pictures are made again in all its themes, and go to review. To repair by brush,
    open the job's page.
    """
    if (cutout is None) is not undo:
        raise typer.BadParameter("Give --cutout FILE or --undo.")
    # They bring OpenCV along, which other commands should not wait for.
    from photopipe_dagster.operations.repairs import CutoutRepairs
    from photopipe_dagster.storage.factory import object_store

    settings = read_settings()
    ledger = Ledger.open(settings)
    repairs, by = CutoutRepairs(settings, ledger, object_store(settings)), person()
    known = ledger.jobs.require(job)
    remade = (
        repairs.undo(known, by=by)
        if cutout is None
        else repairs.upload(known, cutout.read_bytes(), by=by)
    )
    if as_json:
        print_json([job_as_json(each, ledger) for each in remade])
    else:
        for each in remade:
            console.print(f"{each.id} is made again, and goes to review.")
