"""`photopipe bench`: measures what is claimed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import photopipe_dagster
from photopipe_dagster.core.errors import PhotopipeError


def bench(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME [OPTION]", help="One benchmark and its options; else all."),
    ] = None,
) -> None:
    """Measure what is claimed: speed, quality, and that nothing is paid twice. Takes minutes.

    `photopipe bench imaging --help` tells what one can be asked. Benchmarks belong to a checkout of
    the project, with its development dependencies.
    """
    checkout = Path(photopipe_dagster.__file__).parents[1]
    if not (checkout / "benchmarks" / "__main__.py").is_file():
        raise PhotopipeError(
            "There are no benchmarks beside the package: they are not installed with it. Work in "
            "a checkout of the project, where `make bench` runs them."
        )
    command = [sys.executable, "-m", "benchmarks", *(what or [])]
    raise SystemExit(subprocess.run(command, cwd=checkout, check=False).returncode)
