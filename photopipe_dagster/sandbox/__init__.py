"""Stand-ins of 3JMS, Freepik/Magnific and Shopify: one process, real HTTP, nothing to pay.

`create_app` builds the application, `serve` runs it, and `running_sandbox` runs it for the length
of a test. What it can be made to do wrong is in the table of `photopipe_dagster.sandbox.faults`.
"""

from __future__ import annotations

from photopipe_dagster.sandbox.app import create_app
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox, serve
from photopipe_dagster.sandbox.state import SandboxState

__all__ = [
    "Fault",
    "RunningSandbox",
    "SandboxConfig",
    "SandboxState",
    "create_app",
    "running_sandbox",
    "serve",
]
