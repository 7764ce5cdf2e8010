"""Housekeeping: finished photos leave Dagster, and what is over is added up."""

import dagster as dg

from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.operations.retention import Retention
from photopipe_dagster.storage.factory import object_store


@dg.op
def run_housekeeping(context: dg.OpExecutionContext, photopipe: PhotopipeResource) -> None:
    """Prune what JOB_RETENTION_DAYS and INTERMEDIATES_RETENTION_DAYS say, and add up the rest."""
    settings, ledger = photopipe.settings, photopipe.ledger
    store = object_store(settings)
    pruned = Retention(
        context.instance,
        ledger,
        store,
        days=settings.job_retention_days,
        intermediates_days=settings.intermediates_retention_days,
    ).prune(dry_run=False, progress=context.log.info)
    context.log.info("Pruned: %s", pruned)
    context.log.info("Removed %d files of writers that were killed", store.remove_leftovers())
    ledger.dashboard.warm_up()
    ledger.counts.compact()


@dg.job(
    name="housekeeping",
    description="Finished photos leave Dagster, and what pages show is added up.",
    executor_def=dg.in_process_executor,
)
def housekeeping_job() -> None:
    """Once an hour."""
    run_housekeeping()
