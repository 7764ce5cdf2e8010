"""Imports what a process of `processes` needs, so that each begins with all of it in memory.

Dagster imports its storages when an instance is first made; the instance that is made here is
closed again, and nothing of it is left but the modules.
"""

import dagster as dg

from benchmarks import chaos_worker
from photopipe_dagster.definitions import defs

__all__ = ["chaos_worker"]

with dg.DagsterInstance.ephemeral() as instance:
    dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())
defs.resolve_job_def("photos")
