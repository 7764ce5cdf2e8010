"""What lies in a folder.

A network drive tells nobody of new files, so the folder is read at each look. A file that is still
being written is not taken: it has changed a moment ago; and if its writer pauses, it is no whole
picture, is refused, and looked at again when it has changed. Taken files go to ``done``.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from photopipe_dagster.core.errors import ConfigurationError, NetworkError, PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import Announcement, Entry, Malformed, NamedPhoto, PhotoSource
from photopipe_dagster.sources.folder.settings import FolderSettings

SCHEME: Final = "folder"

DONE: Final = "done"
"""The folder in the folder where taken files go."""

_FILES_A_PAGE: Final = 50

_NOT_YET: Final = (".part", ".partial", ".tmp", ".crdownload", ".filepart", ".download")
"""Suffixes under which programs write what is not complete."""

_NEVER: Final = frozenset({"thumbs.db", "desktop.ini"})
"""What systems leave in folders, beside hidden files."""


class FolderSource(PhotoSource):
    """One folder, with those in it.

    Raises:
        ConfigurationError: No folder is set.
    """

    lists_all = True

    def __init__(self, settings: Settings) -> None:
        ours = settings.of(FolderSettings)
        if ours.folder_source is None:
            raise ConfigurationError("FOLDER_SOURCE must be set to the folder with the photos.")
        self._root = ours.folder_source
        self._quiet = ours.folder_source_quiet_seconds
        self._max_bytes = settings.image_max_bytes
        self._versions: dict[str, str] = {}

    async def list_since(self, moment: datetime | None) -> AsyncIterator[Sequence[Entry]]:
        """All files that have not changed for a while, whenever they came.

        Raises:
            ConfigurationError: The folder cannot be read, or taken files could not be moved.
        """
        entries = self._entries()
        while page := await asyncio.to_thread(lambda: list(islice(entries, _FILES_A_PAGE))):
            yield page

    async def fetch(self, ref: str) -> bytes:
        """A file's bytes.

        Raises:
            PhotoRejectedError: It is gone, too large, or may not be read.
            NetworkError: It changes, or its drive does not answer now.
        """
        return await asyncio.to_thread(self._read, ref)

    async def acknowledge(self, announcement: Announcement) -> None:
        """Move a file to ``done``, unless it has changed since it was read."""
        await asyncio.to_thread(self._move, announcement.ref)

    async def aclose(self) -> None:
        """Nothing is open."""

    # --- blocking ----------------------------------------------------------------------------

    def _entries(self) -> Iterator[Entry]:
        unread: list[OSError] = []
        try:
            with os.scandir(self._root):
                pass
            (self._root / DONE).mkdir(exist_ok=True)
            if not os.access(self._root, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise ConfigurationError(
                f"The folder {self._root} of FOLDER_SOURCE cannot be used: {error.strerror}. See "
                "that it is there, that its drive is mounted, and that Photopipe may read and "
                "write it: taken files are moved."
            ) from None
        for folder, folders, names in os.walk(self._root, onerror=unread.append):
            here = Path(folder)
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith(".") and (here != self._root or name != DONE)
            )
            yield from filter(None, (self._entry(here / name) for name in sorted(names)))
        for closed in unread:
            where = _shown(os.path.relpath(str(closed.filename), self._root))
            yield Malformed(
                f"The folder {where} cannot be read: {closed.strerror}. Give Photopipe the right "
                "to read and write it.",
                {"folder": where},
            )

    def _entry(self, path: Path) -> NamedPhoto | None:
        """A file that is complete as far as can be seen; ``None`` where it is not, or no photo."""
        name = path.name.lower()
        if name.startswith((".", "~$")) or name.endswith(_NOT_YET) or name in _NEVER:
            return None
        try:
            seen = path.lstat()
        except OSError:  # moved meanwhile; what cannot be read is told where it is
            return None
        if not stat.S_ISREG(seen.st_mode) or time.time() - seen.st_ctime < self._quiet:
            return None
        shown = path.relative_to(self._root).as_posix()
        ref = f"{SCHEME}:{quote(os.fsencode(shown))}"
        self._versions[ref] = _version(seen)
        changed = datetime.fromtimestamp(seen.st_ctime, UTC)
        return NamedPhoto(_shown(shown), ref, _version(seen), updated_at=changed)

    def _path(self, ref: str) -> Path:
        path = Path(os.fsdecode(unquote_to_bytes(ref.partition(":")[2])))
        if path.is_absolute() or ".." in path.parts:
            raise PhotoRejectedError("The file is not in FOLDER_SOURCE.")
        return self._root / path

    def _require_file(self, path: Path) -> None:
        """See that it is a file of the folder, still: others may have put a link in its place."""
        here = self._root.resolve() / path.parent.relative_to(self._root)
        if path.parent.resolve() != here or not stat.S_ISREG(path.lstat().st_mode):
            raise PhotoRejectedError(
                "There is a link, a folder or a pipe in place of the file: put the file there."
            )

    def _read(self, ref: str) -> bytes:
        path = self._path(ref)
        try:
            self._require_file(path)
            with open(path, "rb", opener=_open_file) as file:
                before = os.fstat(file.fileno())
                if before.st_size > self._max_bytes:
                    raise PhotoRejectedError(
                        f"The photo has more than {self._max_bytes} bytes. Put a smaller one "
                        "there, or raise IMAGE_MAX_BYTES."
                    )
                data = file.read()
                after = os.fstat(file.fileno())
        except FileNotFoundError:
            raise PhotoRejectedError(
                "The file is not in the folder any more: put it there again."
            ) from None
        except PermissionError:
            raise PhotoRejectedError(
                "The file may not be read: give Photopipe the right to, or put it there again."
            ) from None
        except OSError as error:
            raise NetworkError(f"The folder's drive does not answer: {error.strerror}.") from None
        if _version(before) != _version(after) or len(data) != after.st_size:
            raise NetworkError("The file is being written: it is taken when that has ended.")
        self._versions[ref] = _version(after)
        return data

    def _move(self, ref: str) -> None:
        path = self._path(ref)
        if not path.exists() or _version(path.lstat()) != self._versions.get(ref):
            return
        folder = self._root / DONE / path.relative_to(self._root).parent
        folder.mkdir(parents=True, exist_ok=True)
        _move(path, _free(folder, path.name))


def _open_file(path: str, flags: int) -> int:
    """Open a file, but follow no link and wait for no pipe that takes its place this moment."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _move(path: Path, place: Path) -> None:
    """Move a file, also where the place is on another drive."""
    try:
        path.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = place.with_name(f".{secrets.token_hex(8)}")
        shutil.copy2(path, draft)
        draft.replace(place)
        path.unlink()


def _free(folder: Path, name: str) -> Path:
    """Where a file can go without taking another's place, its name shortened where it must be."""
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in count(1):
        mark = f" ({number}){suffix}" if number > 1 else suffix
        kept = os.fsencode(stem)[: 255 - len(os.fsencode(mark))]
        place = folder / (kept.decode("utf-8", "ignore") + mark)
        if not place.exists():
            return place
    raise AssertionError("numbers do not end")


def _version(seen: os.stat_result) -> str:
    return f"{seen.st_size}-{seen.st_mtime_ns}-{seen.st_ctime_ns}"


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")
