"""The three processes that make a whole Photopipe on one machine."""

from __future__ import annotations

import sys
from typing import Final

from photopipe_dagster.demo.environment import dagster_project
from photopipe_dagster.demo.process_group import HOST, Program

_PHOTOPIPE: Final = (sys.executable, "-m", "photopipe_dagster")


def sandbox_program(port: int, *, real_pictures: bool = False) -> Program:
    """The simulators; THREEJMS_WEBHOOK_SECRET signs what the one of 3JMS pushes.

    The shop is kept in DATA_DIR, as are the ledger and the pictures that speak of it.
    """
    pictures = "--real-pictures" if real_pictures else "--no-real-pictures"
    return Program(
        "sandbox",
        (*_PHOTOPIPE, "sandbox", "--port", str(port), "--keep", pictures),
        health=f"http://{HOST}:{port}/_sandbox/clock",
    )


def api_program(port: int) -> Program:
    """The API, on HOST and PORT of the environment.

    Args:
        port: The same as PORT.
    """
    return Program("api", (*_PHOTOPIPE, "api"), health=f"http://{HOST}:{port}/health/live")


def dagster_program(port: int) -> Program:
    """Dagster's web server, daemon and code server.

    Raises:
        ProjectNotFoundError: There is no checkout to load.
    """
    workspace = dagster_project() / "workspace.yaml"
    return Program(
        "dagster",
        (sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", HOST, "-p", str(port)),
        health=f"http://{HOST}:{port}/server_info",
    )
