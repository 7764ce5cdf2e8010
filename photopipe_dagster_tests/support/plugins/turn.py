"""One turn of Dagster, in a process of its own: a source is polled, and what is due is run.

    python -m photopipe_dagster_tests.support.plugins.turn SENSOR SECONDS

Prints the names of all sensors. SECONDS have passed since the turn before: a run that was killed
then has shown no sign of life for so long.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import dagster as dg

from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster_tests.support.dispatching import move_clock, run, tick


def turn(name: str, seconds: float) -> None:
    """Tick the source's sensor, then the dispatching one, and run what that asks for."""
    sensors = {sensor.name: sensor for sensor in defs.sensors or ()}
    photopipe = PhotopipeResource()
    with dg.DagsterInstance.get() as instance:
        resources = {"photopipe": photopipe}
        move_clock(photopipe.ledger, seconds)
        ticked = sensors[name](dg.build_sensor_context(instance=instance, resources=resources))
        assert isinstance(ticked, Iterable)
        list(ticked)
        for _ in range(2):  # the first finds that a run is dead
            for request in tick(instance, photopipe):
                assert run(instance, request).success
    print(json.dumps(sorted(sensors)))  # noqa: T201  # for the test


if __name__ == "__main__":
    turn(sys.argv[1], float(sys.argv[2]))
