"""Sensor *photo_dispatch*: jobs go out to runs.

`photo_dispatch` is the only writer of partitions. A run covers a range of partitions, which is
what lies between two keys *in their order of insertion*: so a range is made only of keys that one
tick adds together, or of old ones that stand side by side.

Sensors are at-least-once and anything may die between two steps, so every tick also looks for what
was left lying: dispatches that reached no run, and photos whose run died.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from photopipe_dagster.core.dagster_names import DISPATCH_TAG, PRIORITY, RANGE_END, RANGE_START
from photopipe_dagster.core.errors import InvalidTransitionError, JobError
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.costs.spending_gate import SpendingGate
from photopipe_dagster.defs.assets.photos import photos
from photopipe_dagster.defs.jobs import photo_job
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.breakers import Breaker
from photopipe_dagster.ledger.jobs.dispatches import Dispatch
from photopipe_dagster.ledger.jobs.leases import run_lease
from photopipe_dagster.ledger.jobs.model import EXTERNAL
from photopipe_dagster.operations.dagster_instance import report_made
from photopipe_dagster.runtime.circuit_breaker import stages_down
from photopipe_dagster.runtime.providers import possible_prices

BEHIND_ALL_OTHERS: Final = "-10"
"""Priority of backfills in Dagster's queue of runs; others have 0."""

BACKFILL_RUNS: Final = 2
"""Runs of backfills that may be under way at once: the rest waits for its turn."""

UNDELIVERED_AFTER_SECONDS: Final = 60.0
"""A dispatch that no run has picked up for so long is looked after."""

RUNS_PER_TICK: Final = 20

_CLOCKS_DIFFER: Final = timedelta(days=1)
"""Those of Dagster's database and ours, at most: it writes its own time zone's as UTC."""

_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dg.sensor(
    job=photo_job,
    # Dagster looks every 5 s; asked for that, it passes each second look over: 4.99 s have gone by.
    minimum_interval_seconds=3,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Turns new, due and orphaned jobs into partitions and runs of many photos each.",
)
def photo_dispatch(
    context: dg.SensorEvaluationContext, photopipe: PhotopipeResource
) -> dg.SensorResult | dg.SkipReason:
    """Dispatch what is due."""
    ledger, batch = photopipe.ledger, photopipe.settings.photos_per_run
    ledger.counts.compact()
    ledger.arrivals.compact()
    _bury_dead(context.instance, ledger)
    _fail_abandoned(context.instance, ledger)
    _recover_undelivered(context.instance, ledger, photopipe.settings.job_lease_seconds)
    prices = possible_prices(photopipe.settings, ledger.database.now())
    gate = SpendingGate.of(ledger, prices)
    down = stages_down(photopipe.settings, ledger.breakers)
    ledger.batches.release(batch * BACKFILL_RUNS)
    dispatches = ledger.dispatches.take(
        photos_per_dispatch=batch,
        limit=batch * RUNS_PER_TICK,
        at_once=photopipe.settings.runs_at_once,
        may_pay=gate.allows,
        down=down,
    )
    if not dispatches:
        return dg.SkipReason(_why_none(down))
    known = context.instance.get_dynamic_partitions(photos.name or "")
    positions = {key: position for position, key in enumerate(known)}
    requests = []
    added: list[str] = []
    for dispatch in dispatches:
        old, new = split(dispatch, positions)
        added += new
        requests += [_request(dispatch, group) for group in (*old, new) if group]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[photos.build_add_request(added)] if added else [],
    )


def split(dispatch: Dispatch, positions: Mapping[str, int]) -> tuple[list[list[str]], list[str]]:
    """Partition keys of a dispatch: old ones in groups that stand side by side, and new ones.

    Args:
        positions: Where each partition that exists stands in the order of insertion.
    """
    keys = [key.partition_key for key in dispatch.keys]
    new = [key for key in keys if key not in positions]
    groups: list[list[str]] = []
    last = -2
    for key in sorted((key for key in keys if key in positions), key=positions.__getitem__):
        if positions[key] != last + 1:
            groups.append([])
        groups[-1].append(key)
        last = positions[key]
    return groups, new


def _why_none(down: Mapping[Stage, Breaker]) -> str:
    if not down:
        return "No photo is waiting."
    return " ".join(f"{breaker.name} is {breaker.describe()}" for breaker in down.values())


def _request(dispatch: Dispatch, group: Sequence[str]) -> dg.RunRequest:
    run_key = f"{dispatch.id}/{group[0]}"
    tags = {DISPATCH_TAG: dispatch.id}
    if dispatch.yields:
        tags[PRIORITY] = BEHIND_ALL_OTHERS
    if len(group) == 1:
        return dg.RunRequest(run_key=run_key, partition_key=group[0], tags=tags)
    return dg.RunRequest(run_key=run_key, tags=tags | {RANGE_START: group[0], RANGE_END: group[-1]})


def _bury_dead(instance: dg.DagsterInstance, ledger: Ledger) -> None:
    """Runs whose process died end, so that they hold no place in the queue.

    What they had published is DONE in the ledger; Dagster may not have been told any more.
    """
    for run_id in ledger.leases.expired_runs():
        record = instance.get_run_record_by_id(run_id)
        since = _EVER if record is None else record.create_timestamp - _CLOCKS_DIFFER
        published = ledger.jobs.published_by(run_id, since)
        _report_published(instance, [job.key for job in published])
        _report_dead(instance, None if record is None else record.dagster_run)
        ledger.leases.forget(run_lease(run_id))


def _report_published(instance: dg.DagsterInstance, keys: Sequence[PhotoKey]) -> None:
    """Show as materialized all that was made of published photos."""
    for stage in STAGES if keys else ():
        shown = instance.get_materialized_partitions(dg.AssetKey(stage.value))
        for key in keys:
            if key.partition_key not in shown:
                why = "Made by a run that died before it could say so."
                report_made(instance, key, stage, why, {})


def _report_dead(instance: dg.DagsterInstance, run: dg.DagsterRun | None) -> None:
    if run is not None and not run.is_finished:
        instance.report_run_failed(run, "The process of this run is dead.")


def _fail_abandoned(instance: dg.DagsterInstance, ledger: Ledger) -> None:
    """Photos whose run died fail, and are tried again like others; their run is expired."""
    jobs = ledger.dispatches.abandoned()
    outside = [job.id for job in jobs if job.run_id == EXTERNAL]
    if outside:
        ledger.transitions.requeue(outside, EXTERNAL)  # nobody outside has been heard of: we go on
    jobs = [job for job in jobs if job.run_id != EXTERNAL]
    died = JobError(
        "The run that worked on this photo died (killed, out of memory, or its machine went). "
        "What was paid for is kept.",
        retryable=True,
    )
    for job in jobs:
        with suppress(InvalidTransitionError):  # it lives, and has brought the photo to its end
            ledger.transitions.fail(job.id, died, run_id=job.run_id, in_progress=True)
    for run_id in {job.run_id for job in jobs if job.run_id}:
        _report_dead(instance, instance.get_run_by_id(run_id))


def _recover_undelivered(
    instance: dg.DagsterInstance, ledger: Ledger, lease_seconds: float
) -> None:
    """Photos whose dispatch reached no run go out again; those whose run never began fail."""
    ended = JobError(
        "The run ended before it took this photo up; its page in Dagster says why.", retryable=True
    )
    for dispatch in ledger.dispatches.undelivered(UNDELIVERED_AFTER_SECONDS):
        runs = instance.get_runs(dg.RunsFilter(tags={DISPATCH_TAG: dispatch.id}))
        ids = [key.job_id for key in dispatch.keys]
        dead = [run for run in runs if _died_at_birth(instance, ledger, run, lease_seconds)]
        for run in dead:
            _report_dead(instance, run)
        if not runs:
            ledger.transitions.requeue(ids, run_id=None)
        elif all(run.is_finished or run in dead for run in runs):
            for job_id in ids:
                with suppress(InvalidTransitionError):  # a run has taken it up at last
                    ledger.transitions.fail(job_id, ended, run_id=None, in_progress=True)


def _died_at_birth(
    instance: dg.DagsterInstance, ledger: Ledger, run: dg.DagsterRun, lease_seconds: float
) -> bool:
    """Whether a run started longer than a lease ago, and its process does not live."""
    if run.status is not dg.DagsterRunStatus.STARTED or ledger.leases.is_alive(run.run_id):
        return False
    record = instance.get_run_record_by_id(run.run_id)
    if record is None or record.start_time is None:
        return False
    return ledger.database.now().timestamp() - record.start_time > lease_seconds
