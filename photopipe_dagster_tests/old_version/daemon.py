"""One look of Dagster's daemon at the sensors, in this process. Knows nothing but Dagster."""

from __future__ import annotations

import logging

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration


class _Workspace(WorkspaceLoadTarget):
    """What `workspace.yaml` names, loaded here instead of by a server of its own."""

    def __init__(self, module: str, location: str) -> None:
        self._origin = InProcessCodeLocationOrigin(
            LoadableTargetOrigin(module_name=module), location_name=location
        )

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        """The one code location."""
        return [self._origin]


def look_at_sensors(instance: dg.DagsterInstance, module: str, location: str) -> None:
    """Evaluate each sensor that is on and due, and launch what it asks for.

    Ticks, cursors, partitions and runs are written as by the daemon, whose own code this is.

    Args:
        module: What the workspace loads.
        location: Name of the code location.
    """
    logger = logging.getLogger("photopipe.tests.daemon")
    with WorkspaceProcessContext(instance, _Workspace(module, location)) as workspace:
        for error in execute_sensor_iteration(workspace, logger, None, None):
            if error is not None:
                raise RuntimeError(f"A sensor failed: {error}")


def instigators(
    instance: dg.DagsterInstance, module: str, location: str
) -> dict[str, tuple[str, str]]:
    """The two ids by which Dagster's home keeps state and ticks of each sensor and schedule."""
    with WorkspaceProcessContext(instance, _Workspace(module, location)) as workspace:
        entries = workspace.create_request_context().get_code_location_entries().values()
        return {
            each.name: (each.selector_id, each.get_remote_origin_id())
            for entry in entries
            if entry.code_location is not None
            for repository in entry.code_location.get_repositories().values()
            for each in (*repository.get_sensors(), *repository.get_schedules())
        }
