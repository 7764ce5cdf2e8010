"""A sandbox for all providers of a module."""

from collections.abc import Iterator

import httpx
import pytest

from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster_tests.support.conformance.money import PHOTO


def _photo(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=PHOTO)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    config = SandboxConfig(transport=httpx.MockTransport(_photo), mystic_scale=0.05)
    with running_sandbox(config) as sandbox:
        yield sandbox
