"""`photopipe download`: finished pictures as a ZIP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from photopipe_dagster.cli.console import console, counted, read_settings
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus

_ALL: Final = 1_000_000


def download(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="The ZIP to write.")],
    sku: Annotated[str | None, typer.Option(help="Only this SKU.")] = None,
    theme: Annotated[str | None, typer.Option(help="Only this theme.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only this batch.")] = None,
) -> None:
    """Write finished pictures into a ZIP, {sku}/{theme}-{job}.jpg."""
    from photopipe_dagster.operations.downloads import zipped
    from photopipe_dagster.storage.factory import object_store

    settings = read_settings()
    ledger = Ledger.open(settings)
    done = (JobStatus.DONE,)
    if batch is None:
        jobs = ledger.jobs.find(JobQuery(done, theme=theme, sku=sku), limit=_ALL)
    else:
        jobs = [
            job
            for job in ledger.batches.jobs_of(ledger.batches.require(batch).id, done, _ALL)
            if sku in (None, job.key.sku) and theme in (None, job.key.theme)
        ]
    if not jobs:
        raise PhotopipeError("No finished picture is like that; `photopipe status` lists jobs.")
    draft = file.with_name(f"{file.name}.part")
    with draft.open("wb") as written:
        for chunk in zipped(object_store(settings), jobs):
            written.write(chunk)
    draft.replace(file)
    console.print(f"{counted(len(jobs), 'picture')}: {file}", soft_wrap=True)
