"""Old data: what a version out of this repository's history leaves behind on a machine.

`build` takes that version's code out of the history and has it fill a ledger, an object folder and
Dagster's home, over stand-ins that the caller keeps running, so that their books tell later what
was bought and published twice.

By hand, with `photopipe sandbox` running at its port:
``python -m photopipe_dagster_tests.old_version.build FOLDER [http://127.0.0.1:4010]``.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

COMMIT: Final = "b29f5f2de8093f4c4099d47b47ac937106630d15"
"""The version whose data lives on."""

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_HERE: Final = Path(__file__).resolve().parent
_PARTS: Final = (
    "photopipe_dagster",
    "photopipe_dagster_tests",
    "deploy",
    "dagster.yaml",
    "workspace.yaml",
)
_COPIED: Final = ("__init__.py", "addresses.py", "daemon.py", "populate.py")
_SECONDS: Final = 300

_SYNCHRONOUS: Final = {
    # Runs are carried out where they are launched, at once: no processes, nothing to wait for.
    "run_launcher": {
        "module": "dagster._core.launcher.sync_in_memory_run_launcher",
        "class": "SyncInMemoryRunLauncher",
    },
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "DefaultRunCoordinator",
    },
    "telemetry": {"enabled": False},
}


class OldVersionError(Exception):
    """The old version's code is not to be had, or could not make its data."""


@dataclass(frozen=True, slots=True)
class OldData:
    """What the old version left.

    Args:
        environment: All variables that it ran with, DAGSTER_HOME among them.
        facts: What it knew at its end; see `populate.main`.
    """

    environment: Mapping[str, str]
    facts: Mapping[str, Any]


def build(
    folder: Path, environment: Mapping[str, str], *, dagster_url: str | None = None
) -> OldData:
    """Have the old version make its data.

    Args:
        folder: Empty; has ``data`` and ``dagster`` afterwards.
        environment: Addresses and keys of the stand-ins, and DATABASE_URL for a ledger in Postgres.
        dagster_url: Postgres database of Dagster's own storage; else it is in files.

    Raises:
        OldVersionError: Says what is missing, or what the old version said.
    """
    home = folder / "dagster"
    home.mkdir(parents=True)
    variables = {
        "PHOTOPIPE_ENV": "development",
        "DATA_DIR": str(folder / "data"),
        "DAGSTER_HOME": str(home),
        "PORT": str(_free_port()),
        "AI_PROVIDER": "freepik",
        "FREEPIK_POLL_SECONDS": "0.01",
        "FREEPIK_REQUESTS_PER_MINUTE": "60000",
        "SHOPIFY_POLL_SECONDS": "0.01",
        "THREEJMS_POLL_SECONDS": "86400",
        "APPROVAL_REQUIRED": "kitchen",
        "JOB_RETRY_DELAY_SECONDS": "3600",
        **environment,
    }
    with tempfile.TemporaryDirectory(prefix="photopipe-old-") as temporary:
        tree = Path(temporary)
        extract(tree)
        config = dict[str, Any](_SYNCHRONOUS)
        if dagster_url is not None:
            variables["DAGSTER_POSTGRES_URL"] = dagster_url
            config["storage"] = _storage_of(tree)
        # JSON is YAML.
        (home / "dagster.yaml").write_text(json.dumps(config))
        _run(tree, folder, variables)
    facts = folder / "facts.json"
    return OldData(variables, json.loads(facts.read_text()))


def extract(tree: Path) -> None:
    """Put the old version's code into a folder, and what fills its shop beside its tests.

    Raises:
        OldVersionError: The repository does not have it.
    """
    command = ["git", "-C", str(_REPOSITORY), "archive", COMMIT, *_PARTS]
    try:
        archive = subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise OldVersionError("git is not installed: old data is made by old code.") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise OldVersionError(
            f"The version {COMMIT[:7]}, whose data is to live on, is not in {_REPOSITORY}: {said} "
            "Where the clone is shallow, `git fetch --unshallow` (or, in CI, a checkout with "
            f"`fetch-depth: 0`) brings it; `git fetch origin {COMMIT}` brings it alone."
        ) from error
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    beside = tree / "photopipe_dagster_tests" / _HERE.name
    beside.mkdir(exist_ok=True)
    for name in _COPIED:
        shutil.copy(_HERE / name, beside)


def _storage_of(tree: Path) -> Any:
    """Dagster's storage as that version's deployment has it."""
    return yaml.safe_load((tree / "deploy" / "dagster" / "dagster.yaml").read_text())["storage"]


def _run(tree: Path, folder: Path, variables: Mapping[str, str]) -> None:
    """Run the old code until it dies, as it should: killed in the middle of a photo."""
    command = [sys.executable, "-m", "photopipe_dagster_tests.old_version.populate", str(folder)]
    environment = {**os.environ, **variables, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    log = folder / "old-version.log"
    with log.open("wb") as said:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            timeout=_SECONDS,
        )
    if ended.returncode != -signal.SIGKILL:
        raise OldVersionError(
            f"The old version ended with {ended.returncode} instead of being killed in the middle "
            f"of its last photo:\n{log.read_text(errors='replace')[-6000:]}"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stand_ins(url: str) -> dict[str, str]:
    """The settings for a sandbox that was told nothing of keys."""
    return {
        "FREEPIK_API_URL": f"{url}/freepik",
        "FREEPIK_API_KEY": "sandbox-freepik-key",
        "SHOPIFY_STORE": f"{url}/shopify",
        "SHOPIFY_ACCESS_TOKEN": "sandbox-shopify-token",
        "THREEJMS_API_URL": f"{url}/threejms",
        "THREEJMS_API_KEY": "sandbox-3jms-key",
        "THREEJMS_WEBHOOK_SECRET": "sandbox-webhook-secret",
        "IMAGE_URL_ALLOWED_HOSTS": url.removeprefix("http://"),
    }


def main(folder: str, sandbox: str = "http://127.0.0.1:4010") -> None:
    """Build old data for people to look at, and say with which variables to open them."""
    old = build(Path(folder).resolve(), _stand_ins(sandbox))
    for name, value in sorted(old.environment.items()):
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
