"""Tells Dagster what was made outside of it, so that its lineage has no gaps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import dagster as dg

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.operations.dagster_instance import dagster_instance, report_made

_log = logging.getLogger(__name__)


def instance_of_environment() -> dg.DagsterInstance | None:
    """The instance that DAGSTER_HOME names; ``None``, said once in the log, if there is none."""
    instance = dagster_instance()
    if instance is None:
        _log.warning(
            "DAGSTER_HOME is not set: Dagster is not told of pictures that are made outside, and "
            "/health knows nothing of its daemon. Start the API with the DAGSTER_HOME of the "
            "daemon."
        )
    return instance


class Lineage:
    """Reports materializations to Dagster's event log, without a run.

    Args:
        open_instance: Opens the instance, at the first use; ``None``: there is no Dagster here.
    """

    def __init__(
        self, open_instance: Callable[[], dg.DagsterInstance | None] = instance_of_environment
    ) -> None:
        self._open_instance = open_instance

    @cached_property
    def instance(self) -> dg.DagsterInstance | None:
        """The instance, if there is one."""
        return self._open_instance()

    def report(self, key: PhotoKey, stage: Stage, facts: Mapping[str, Any]) -> None:
        """Show a stage of a photo as materialized.

        If Dagster fails, that is logged and no more: the ledger and the store have what counts,
        and the pipeline reports the stage again when it takes the job over.
        """
        if self.instance is None:
            return
        try:
            why = "Made by an outside orchestrator."
            report_made(self.instance, key, stage, why, {"made": "outside", **facts})
        except Exception as error:
            _log.warning(
                "Dagster was not told of the %s of %s (%s).", stage, key, type(error).__name__
            )
