"""`photopipe prune`: finished photos leave Dagster, old intermediates may leave the store."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from photopipe_dagster.cli.console import AsJson, console, print_json, read_settings
from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.storage.factory import object_store


def prune(
    apply: Annotated[
        bool, typer.Option("--apply", "--yes", help="Apply it (default: only list).")
    ] = False,
    shrink: Annotated[
        bool,
        typer.Option(
            "--vacuum",
            help="With --apply: then run VACUUM, which frees disk space. Dagster on SQLite "
            "only, and stop it first; without this the room is used again, and no file grows.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take what is finished out of Dagster; the ledger, and so every report, stays whole.

    Days are set by JOB_RETENTION_DAYS and INTERMEDIATES_RETENTION_DAYS.
    """
    from photopipe_dagster.operations.dagster_cleanup import vacuum
    from photopipe_dagster.operations.dagster_instance import dagster_instance
    from photopipe_dagster.operations.retention import Retention

    if shrink and not apply:
        raise ConfigurationError("--vacuum goes with --apply.")
    settings = read_settings()
    instance = dagster_instance()
    if instance is None:
        raise ConfigurationError(
            "DAGSTER_HOME is not set: name the folder of the Dagster instance to prune "
            "(`make dev` keeps it in DATA_DIR/dagster)."
        )
    retention = Retention(
        instance,
        Ledger.open(settings),
        object_store(settings),
        days=settings.job_retention_days,
        intermediates_days=settings.intermediates_retention_days,
    )
    progress = (lambda _: None) if as_json else console.print
    done = retention.prune(dry_run=not apply, progress=progress)
    given_back = vacuum(instance) if shrink else 0
    if as_json:
        print_json({**asdict(done), "done": apply, "givenBack": given_back})
        return
    console.print(
        f"{'Pruned' if apply else 'Would prune'} {done.partitions} partitions, {done.runs} runs "
        f"with their events, and {done.objects} objects ({done.bytes / 1e6:.1f} MB)."
    )
    if shrink:
        console.print(f"{given_back / 1e6:.1f} MB are given back to the disk.")
    if not apply:
        console.print("Nothing is changed yet. `photopipe prune --apply` applies it.")
