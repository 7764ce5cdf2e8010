"""Files that appear whole or not at all, no matter who reads or is killed meanwhile."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in the place of what is there, or is not.

    It is for what can be made again: a reader sees the old file or the new one, but after a power
    cut the name may be that of an empty file.

    Raises:
        OSError: Nothing was changed.
    """
    with draft_of(path) as draft:
        draft.write_bytes(data)
        draft.replace(path)


def create_file(path: Path, data: bytes, *, mode: int = 0o666) -> bool:
    """Make a file unless there is one; of several makers the first one wins.

    A hard link is the one step that publishes a finished file and fails where there is one. The
    bytes are on the disk before the name is.

    Args:
        mode: Permissions, of which the process's umask takes some away.

    Returns:
        Whether this call made it.

    Raises:
        OSError: It was not made, for another reason than that it is there.
    """
    with draft_of(path) as draft:
        write_new(draft, data, mode=mode)
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return False
    return True


def write_new(
    path: Path, data: bytes, *, mode: int = 0o666, modified_ns: int | None = None
) -> None:
    """Write a file under a name that nobody uses, and make it and its modification time durable.

    Args:
        mode: Permissions, of which the process's umask takes some away.
        modified_ns: Its modification time, nanoseconds since 1970; now, where it is ``None``.

    Raises:
        OSError: It could not be written, and is not there.
    """
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        try:
            file.write(data)
            file.flush()
            if modified_ns is not None:
                os.utime(file.fileno(), ns=(modified_ns, modified_ns))
            os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """A free name beside a file, in a folder that is there; what has it in the end is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)
