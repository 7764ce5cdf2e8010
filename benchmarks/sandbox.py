"""The stand-ins and the API for benchmarks: processes of their own, on free ports."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import yaml

from photopipe_dagster.demo.environment import prepare_dagster_home
from photopipe_dagster.demo.process_group import HOST, free_port

CHECKOUT: Final = Path(__file__).resolve().parents[1]


@contextmanager
def sandbox_environment(folder: Path, **variables: str) -> Iterator[dict[str, str]]:
    """The stand-ins and the API, without latency; yields the environment for those who use them.

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
    programs: Sequence[tuple[str, ...]] = (("sandbox", "--port", str(sandbox_port)), ("api",))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "photopipe_dagster", *program],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for program in programs
    ]
    try:
        wait_for(f"{sandbox}/_sandbox/state")
        wait_for(f"http://{HOST}:{api_port}/health/live")
        yield environment
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


def dagster_storage(postgres_url: str) -> str:
    """What says in `dagster.yaml` that Dagster's storage is in Postgres, as in production."""
    config = yaml.safe_load((CHECKOUT / "deploy/dagster/dagster.yaml").read_text())
    storage = {"storage": config["storage"]}
    storage["storage"]["custom"]["config"] = {"postgres_url": postgres_url}
    return f"\n{yaml.safe_dump(storage)}"


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
