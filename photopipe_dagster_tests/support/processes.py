"""Processes that begin at once: forked from one that has imported the package, and did no more.

An import of the package takes seconds of a processor; a process that is forked is as fresh.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

import dagster as dg

from photopipe_dagster.core.dagster_names import RANGE_END, RANGE_START
from photopipe_dagster.definitions import defs

STARTER: Final = multiprocessing.get_context("forkserver")
STARTER.set_forkserver_preload(["photopipe_dagster_tests.support.imported"])


def start(log: Path, function: Callable[..., object], *args: object) -> ForkServerProcess:
    """A process that calls a function, in the environment that this process has now.

    Args:
        log: A file for what it prints.
        function: A public one of a module: it is found by its name.
    """
    order = (dict(os.environ), log, function, args)
    process = STARTER.Process(target=_call, args=order, daemon=True)
    process.start()
    return process


def _call(
    environment: dict[str, str], log: Path, function: Callable[..., object], args: tuple[Any, ...]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as out:
        for stream in (1, 2):
            os.dup2(out.fileno(), stream)
    function(*args)


def run_range(first: str, last: str) -> None:
    """Run the photos between two partitions, in the Dagster instance that DAGSTER_HOME names.

    Raises:
        SystemExit: A photo failed.
    """
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("photos").execute_in_process(
            instance=instance,
            tags={RANGE_START: first, RANGE_END: last},
            raise_on_error=False,
        )
    raise SystemExit(0 if result.success else 1)
