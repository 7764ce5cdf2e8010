"""Ticks of the dispatching sensor, as Dagster's daemon evaluates it."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from photopipe_dagster.core.dagster_names import RANGE_END, RANGE_START
from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors import dispatch
from photopipe_dagster.ledger import Ledger


def sensor_context(
    instance: dg.DagsterInstance, photopipe: PhotopipeResource
) -> dg.SensorEvaluationContext:
    """What the daemon gives to the sensor."""
    return dg.build_sensor_context(
        instance=instance,
        resources={"photopipe": photopipe},
        repository_def=defs.get_repository_def(),
    )


def evaluate(
    instance: dg.DagsterInstance, photopipe: PhotopipeResource
) -> dg.SensorResult | dg.SkipReason:
    """Evaluate the sensor as the daemon does: partitions are committed before runs start."""
    result = dispatch.photo_dispatch(sensor_context(instance, photopipe))
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    if isinstance(result, dg.SensorResult):
        for request in result.dynamic_partitions_requests or []:
            instance.add_dynamic_partitions("photos", request.partition_keys)
    return result


def tick(instance: dg.DagsterInstance, photopipe: PhotopipeResource) -> list[dg.RunRequest]:
    """The runs that a tick asks for."""
    result = evaluate(instance, photopipe)
    return [] if isinstance(result, dg.SkipReason) else list(result.run_requests or ())


def run(instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """Carry a run out that a tick asked for."""
    return defs.resolve_job_def("photos").execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        tags=request.tags,
        raise_on_error=False,
    )


def move_clock(ledger: Ledger, seconds: float) -> None:
    """Let time pass for the ledger."""
    before = ledger.database.now
    ledger.database.now = lambda: before() + timedelta(seconds=seconds)


def covered(instance: dg.DagsterInstance, request: dg.RunRequest) -> list[str]:
    """Partitions that a run of this request would work on, as Dagster resolves them."""
    if request.partition_key is not None:
        return [request.partition_key]
    known = list(instance.get_dynamic_partitions("photos"))
    return known[known.index(request.tags[RANGE_START]) : known.index(request.tags[RANGE_END]) + 1]
