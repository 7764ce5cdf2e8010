"""The simulators and what works with them, for benchmarks: processes, on free ports."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx
import yaml

from photopipe_dagster.demo import environment as demo_environment
from photopipe_dagster.demo import processes as programs
from photopipe_dagster.demo.environment import prepare_dagster_home
from photopipe_dagster.demo.process_group import HOST, Stack, free_port
from photopipe_dagster.demo.sandbox_client import SandboxClient
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.sources.registry import SOURCES

CHECKOUT: Final = Path(__file__).resolve().parents[1]

_NO_LIMIT: Final = {"size": 1e9, "restore": 1e9}
"""Points, and points a second."""


@contextmanager
def sandbox_environment(folder: Path, **variables: str) -> Iterator[dict[str, str]]:
    """The simulators and the API, without latency; yields the environment for those who use them.

    Args:
        folder: For the store, the ledger and Dagster's instance; empty.
        variables: More of the environment.
    """
    sandbox_port, api_port = free_port(), free_port()
    sandbox = f"http://{HOST}:{sandbox_port}"
    environment = os.environ | {
        "SANDBOX": sandbox,
        "DAGSTER_HOME": str(prepare_dagster_home(folder / "dagster")),
        "DATA_DIR": str(folder / "data"),
        "PORT": str(api_port),
        "AI_PROVIDER": "freepik",
        "FREEPIK_API_URL": f"{sandbox}/freepik",
        "FREEPIK_API_KEY": "sandbox-freepik-key",
        "FREEPIK_REQUESTS_PER_MINUTE": "600000",
        "FREEPIK_POLL_SECONDS": "0.01",
        "SHOPIFY_STORE": f"{sandbox}/shopify",
        "SHOPIFY_ACCESS_TOKEN": "sandbox-shopify-token",
        "SHOPIFY_POLL_SECONDS": "0.01",
        "IMAGE_URL_ALLOWED_HOSTS": f"{HOST}:{sandbox_port}",
        **variables,
    }
    commands = {"sandbox": ("sandbox", "--port", str(sandbox_port)), "api": ("api",)}
    with ExitStack() as processes:
        for name, program in commands.items():
            command = (sys.executable, "-m", "photopipe_dagster", *program)
            processes.enter_context(Service(folder, name, command, environment))
        wait_for(f"{sandbox}/_sandbox/state")
        wait_for(f"http://{HOST}:{api_port}/health/live")
        yield environment


@contextmanager
def everything(folder: Path, **variables: str) -> Iterator[tuple[SandboxClient, str, Ledger]]:
    """What `photopipe dev` starts, on free ports; yields the simulators, the API and the ledger.

    Args:
        folder: For the store, the ledger and logs; Dagster's home is made in it unless it is there.
        variables: More of the environment.
    """
    api = free_port()
    if not (folder / "dagster").exists():
        prepare_dagster_home(folder / "dagster")
    with simulators(folder) as (shop, seen, stack):
        own = seen | {
            "AI_PROVIDER": "freepik",
            "DATA_DIR": str(folder / "data"),
            "DAGSTER_HOME": str(folder / "dagster"),
            "PORT": str(api),
            "PUBLIC_BASE_URL": f"http://{HOST}:{api}",
            "THREEJMS_API_URL": "",  # by webhook alone
            **variables,
        }
        with closing(Ledger.open(demo_environment.settings_of(own))) as ledger:
            stack.start(replace(programs.api_program(api), environment=own))
            stack.start(replace(programs.dagster_program(free_port()), environment=own))
            stack.wait_until_ready()
            yield shop, f"http://{HOST}:{api}", ledger


@contextmanager
def simulators(folder: Path) -> Iterator[tuple[SandboxClient, dict[str, str], Stack]]:
    """The simulators; yields them, the environment of who works with them, and where that starts.

    The shop's API has no limit of cost: a peer may not know how to wait.

    Args:
        folder: For logs and what the simulators keep.
    """
    port = free_port()
    url = f"http://{HOST}:{port}"
    seen = (
        demo_environment.without_configuration(os.environ)
        | demo_environment.loopback_without_proxy(os.environ)
        | SOURCES.get("threejms").sandbox_variables(url)
        | demo_environment.sandbox_target().sandbox_variables(url)
        | PROVIDERS.get("freepik").sandbox_variables(url)
        | {
            "DATA_DIR": str(folder / "data"),
            "THREEJMS_WEBHOOK_SECRET": secrets.token_hex(16),
            "IMAGE_URL_ALLOWED_HOSTS": f"{HOST}:{port}",
        }
    )
    with Stack(seen, folder=folder, logs=folder / "logs") as stack, SandboxClient(url) as shop:
        stack.start(programs.sandbox_program(port))
        stack.wait_until_ready()
        httpx.post(f"{url}/_sandbox/shopify/bucket", json=_NO_LIMIT).raise_for_status()
        yield shop, seen, stack


class Service(AbstractContextManager["Service"]):
    """A process that is started again when somebody has killed it.

    Args:
        folder: Its process id is there, in ``{name}.pid``.
    """

    def __init__(
        self, folder: Path, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self._pid = folder / f"{name}.pid"
        self._command = command
        self._environment = environment
        self._over = threading.Event()
        self._start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()
        self._process.terminate()
        self._process.wait(10)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._pid.write_text(str(self._process.pid))

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            if self._process.poll() is not None:
                self._start()


@contextmanager
def door(folder: Path, name: str, port: int) -> Iterator[int]:
    """A door before a port of this machine, which can be killed; yields its own port."""
    own = free_port()
    command = (sys.executable, "-m", "benchmarks.door", str(own), str(port))
    with Service(folder, name, command, os.environ | {"PYTHONPATH": str(CHECKOUT)}):
        wait_for(f"http://{HOST}:{own}/_sandbox/state")
        yield own


def store_in_postgres(home: Path, postgres_url: str) -> None:
    """Let `dagster.yaml` in a home say that Dagster's storage is in Postgres, as in production."""
    production = yaml.safe_load((CHECKOUT / "deploy/dagster/dagster.yaml").read_text())
    storage = production["storage"]
    storage["custom"]["config"] = {"postgres_url": postgres_url}
    config = home / "dagster.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"storage": storage}))


def wait_for(url: str) -> None:
    """Wait until a server answers."""
    for _ in range(300):
        try:
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{url} did not come up")
