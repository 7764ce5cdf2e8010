"""A sandbox for the providers, and the one that a module is about: its PLUGIN."""

from collections.abc import Iterator

import pytest

from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster_tests.unit.providers.remote.simulated import Maker


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def maker(running, request) -> Maker:
    return Maker(request.module.PLUGIN, running)
