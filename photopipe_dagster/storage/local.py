"""An object store in a folder: the embedded default.

    root/masks/SKU/abc.png                                   an object, an ordinary file
    root/.photopipe/objects/masks/SKU/abc.png@<mtime>.json   what is known of that version of it
    root/.photopipe/temporary/…                              files being written

A version of an object is told by the modification time of its file, in nanoseconds, which each
write makes unique. The description is written under the new version's name before the new file
takes the place of the old one: that one rename switches bytes and metadata together. A process
that is killed at any point leaves the old object with its metadata, or the new one with its own,
and at worst a file that nobody reads.

A file that was copied or restored without its modification time is recognised by its SHA-256. A
file that somebody put or changed by hand is an object without metadata.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mimetypes
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter, ValidationError

from photopipe_dagster.core.atomic_file import sync_folder, write_new
from photopipe_dagster.core.errors import StorageError
from photopipe_dagster.storage.base import ObjectInfo, ObjectStore, StoredObject
from photopipe_dagster.storage.key_rules import RESERVED, check_key, check_metadata, check_prefix
from photopipe_dagster.storage.signing import UrlSigner

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_READS: Final = 100
"""How often a reader starts again because the object was replaced under its eyes."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IMPOSSIBLE = {
    errno.ENAMETOOLONG,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.EXDEV,
}


@dataclass(frozen=True, slots=True)
class _Description:
    """The sidecar of one version of an object."""

    size: int
    sha256: str
    content_type: str
    metadata: dict[str, str] = field(default_factory=dict)

    def dump(self, key: str) -> bytes:
        return json.dumps({"key": key, **asdict(self)}, indent=1).encode()

    @classmethod
    def load(cls, data: bytes) -> _Description | None:
        """Read a sidecar; ``None`` if it is none of ours."""
        try:
            return _DESCRIPTIONS.validate_json(data)
        except ValidationError:
            return None


_DESCRIPTIONS: Final = TypeAdapter(_Description)


class LocalStore(ObjectStore):
    """Objects as files of a folder, for one or many processes of one machine.

    Args:
        root: The folder; made at the first write.
        base_url: Where the API serves files, without a slash at the end.
        signer: Signs the URLs that `presign_get` and `presign_put` return.
    """

    def __init__(self, root: Path, base_url: str, signer: UrlSigner) -> None:
        self._root = root.absolute()
        self._descriptions = self._root / RESERVED / "objects"
        self._temporary = self._root / RESERVED / "temporary"
        self._base_url = base_url.rstrip("/")
        self._signer = signer

    def __repr__(self) -> str:
        return f"LocalStore({str(self._root)!r})"

    def head(self, key: str) -> ObjectInfo | None:
        found = self._read(key, with_data=False)
        return found.info if found else None

    def get(self, key: str) -> StoredObject | None:
        return self._read(key, with_data=True)

    def put(
        self, key: str, data: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> ObjectInfo:
        """Store an object atomically, with its metadata, and durably."""
        check_key(key)
        check_metadata(metadata or {})
        description = _Description(
            len(data), hashlib.sha256(data).hexdigest(), content_type, dict(metadata or {})
        )
        with self._explained("store", key):
            modified = self._replace(key, data, description)
        return _info(key, len(data), modified, description)

    def delete(self, key: str) -> None:
        check_key(key)
        path = self._root / key
        with self._explained("delete", key):
            found = self._stat(path)
            if found is None:
                return
            path.unlink(missing_ok=True)
            self._description_path(key, found.st_mtime_ns).unlink(missing_ok=True)
            sync_folder(path.parent)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        folder, slash, start = prefix.rpartition("/")
        with self._explained("list", prefix):
            yield from self._walk(self._root / folder, folder + slash, start)

    def presign_get(self, key: str, expires_in: int) -> str:
        """A URL of the API that reads one object. A secret: never log it."""
        return self._signed_url("GET", key, expires_in, "")

    def presign_put(self, key: str, expires_in: int, *, content_type: str) -> str:
        """A URL of the API that stores one object of one content type. A secret: never log it."""
        return self._signed_url("PUT", key, expires_in, content_type)

    def check(self) -> None:
        probe = secrets.token_bytes(16)
        with self._explained("store", "a probe"):
            path = self._write_temporary(probe)
            try:
                intact = path.read_bytes() == probe
            finally:
                path.unlink(missing_ok=True)
        if not intact:
            raise StorageError(
                f"{self._root} does not return what was written to it. Check the disk."
            )

    def remove_leftovers(self, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove what killed processes left half written; returns how many files."""
        limit = time.time() - older_than.total_seconds()
        removed = 0
        with self._explained("clean up", ""):
            for path in self._temporary.glob("*"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < limit:
                        path.unlink()
                        removed += 1
        return removed

    # --- writing -------------------------------------------------------------------------

    def _replace(self, key: str, data: bytes, description: _Description) -> int:
        """Put the new version in the place of the old one; returns its modification time, ns."""
        path = self._root / key
        temporary = self._write_temporary(data)
        try:
            modified = temporary.stat().st_mtime_ns
            sidecar = self._description_path(key, modified)
            sidecar.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new(sidecar, description.dump(key))
            sync_folder(sidecar.parent)
            old = self._stat(path)
            try:
                os.replace(temporary, path)  # noqa: PTH105  # the one step that counts
            except OSError:
                sidecar.unlink(missing_ok=True)
                raise
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
        if old is not None:
            # Only of the version that this very rename or an earlier one ended: another writer's
            # description, whose file may be about to arrive, is never touched.
            self._description_path(key, old.st_mtime_ns).unlink(missing_ok=True)
        return modified

    def _write_temporary(self, data: bytes) -> Path:
        self._temporary.mkdir(parents=True, exist_ok=True)
        path = self._temporary / secrets.token_hex(16)
        write_new(path, data, modified_ns=_stamps.next())
        return path

    def _description_path(self, key: str, modified: int) -> Path:
        return self._descriptions / f"{key}@{modified}.json"

    # --- reading -------------------------------------------------------------------------

    def _read(self, key: str, *, with_data: bool) -> StoredObject | None:
        check_key(key)
        path = self._root / key
        with self._explained("read", key):
            for _ in range(_READS):
                found = self._stat(path)
                if found is None:
                    return None
                data = b""
                description = self._described(key, found)
                if with_data or description is None:
                    opened = _open_version(path, found)
                    if opened is None:
                        continue  # replaced between the two looks
                    data = opened
                    description = description or self._recognised(key, data)
                    if description is None and not self._still(path, found):
                        continue  # its description went with it
                return StoredObject(
                    _info(key, found.st_size, found.st_mtime_ns, description),
                    data if with_data else b"",
                )
        raise StorageError(f"{key} was replaced {_READS} times while it was read. Try again.")

    def _described(self, key: str, found: os.stat_result) -> _Description | None:
        """The description of exactly this version."""
        try:
            sidecar = self._description_path(key, found.st_mtime_ns).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        description = _Description.load(sidecar)
        return description if description and description.size == found.st_size else None

    def _recognised(self, key: str, data: bytes) -> _Description | None:
        """The description of any version with these bytes: the file lost its time, not itself."""
        folder, _, name = key.rpartition("/")
        pattern = re.compile(re.escape(name) + r"@\d+\.json")
        try:
            entries = sorted(os.listdir(self._descriptions / folder))  # noqa: PTH208  # names only
        except (FileNotFoundError, NotADirectoryError):
            return None
        digest = None
        for entry in reversed([entry for entry in entries if pattern.fullmatch(entry)]):
            with suppress(FileNotFoundError):
                known = _Description.load((self._descriptions / folder / entry).read_bytes())
                if known is not None and known.size == len(data):
                    digest = digest or hashlib.sha256(data).hexdigest()
                    if known.sha256 == digest:
                        return known
        return None

    def _stat(self, path: Path) -> os.stat_result | None:
        """Of a regular file; ``None`` only if there is none of that name."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            if self._root.is_dir():
                return None
            raise
        return found if stat.S_ISREG(found.st_mode) else None

    def _still(self, path: Path, found: os.stat_result) -> bool:
        now = self._stat(path)
        return now is not None and _version(now) == _version(found)

    def _walk(self, folder: Path, base: str, start: str) -> Iterator[ObjectInfo]:
        """Objects below a folder whose path there begins with ``start``.

        A folder sorts as its name with a slash, which is how the keys below it compare with those
        beside it.
        """
        try:
            with os.scandir(folder) as entries:
                names = [
                    (f"{entry.name}/" if entry.is_dir() else entry.name)
                    for entry in entries
                    if entry.name.startswith(start) and base + entry.name != RESERVED
                ]
        except (FileNotFoundError, NotADirectoryError):
            if self._root.exists() and not self._root.is_dir():
                raise
            return
        for name in sorted(names, key=os.fsencode):
            if name.endswith("/"):
                yield from self._walk(folder / name, base + name, "")
            elif (found := self._stat(folder / name)) is not None:
                yield ObjectInfo(base + name, found.st_size, "", _time(found.st_mtime_ns))

    # --- the rest ------------------------------------------------------------------------

    def _signed_url(self, method: str, key: str, expires_in: int, content_type: str) -> str:
        check_key(key)
        expires = self._signer.expiry(expires_in)
        signature = self._signer.sign(method, key, expires, content_type)
        query = urlencode({"method": method, "expires": expires, "signature": signature})
        return f"{self._base_url}/files/{quote(key)}?{query}"

    @contextmanager
    def _explained(self, doing: str, key: str) -> Iterator[None]:
        """Turn an error of the operating system into one that says what to do."""
        try:
            yield
        except OSError as error:
            number = error.errno
            advice, retryable = "Try again; if it stays, check the disk.", True
            if number in _FULL:
                advice = "The disk is full: free some space, or point DATA_DIR at a larger disk."
            elif number in _FORBIDDEN:
                advice = (
                    "Let the user who runs Photopipe read and write this folder, or point "
                    "DATA_DIR at another."
                )
                retryable = False
            elif number in (errno.EMFILE, errno.ENFILE):
                advice = "Too many files are open: raise the limit (ulimit -n)."
            elif number in _IMPOSSIBLE:
                advice, retryable = "Look what is in the way there, and move it.", False
            raise StorageError(
                f"Cannot {doing} {key} in {self._root}: {error.strerror or 'input/output error'}. "
                f"{advice}",
                details={"key": key, "errno": errno.errorcode.get(number or 0, str(number))},
                retryable=retryable,
            ) from error


class _Stamps:
    """Modification times that no two writes of this process share.

    Whole microseconds, because some file systems keep no more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            self._last = max(time.time_ns() // 1000, self._last + 1)
            return self._last * 1000


_stamps = _Stamps()


def _open_version(path: Path, found: os.stat_result) -> bytes | None:
    """The bytes of exactly this version, or ``None`` if it is no longer there."""
    try:
        with path.open("rb") as file:
            if _version(os.fstat(file.fileno())) == _version(found):
                data = file.read()
                return data if len(data) == found.st_size else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        pass
    return None


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size


def _time(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _info(key: str, size: int, modified: int, description: _Description | None) -> ObjectInfo:
    if description is None:
        guess = mimetypes.guess_type(key)[0] or "application/octet-stream"
        return ObjectInfo(key, size, guess, _time(modified))
    return ObjectInfo(
        key, size, description.content_type, _time(modified), dict(description.metadata)
    )
