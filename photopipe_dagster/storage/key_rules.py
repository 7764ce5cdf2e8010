"""What every object store accepts: keys and metadata that work on each of them alike.

The rules are those of S3, the stricter of the two for metadata, and of file systems, the stricter
for keys; so what works on a laptop works in production.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from photopipe_dagster.core.errors import StorageError

MAX_KEY_BYTES: Final = 1024
"""S3's limit for the UTF-8 form of a key."""

MAX_METADATA_BYTES: Final = 2048
"""S3's limit for all names and values of one object's user metadata together."""

RESERVED: Final = ".photopipe"
"""First part of keys that the stores keep for themselves."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


def check_key(key: str) -> None:
    """Refuse a key that does not name exactly one object in every store.

    Raises:
        StorageError: Not retryable; says what is wrong with the key.
    """
    fault = _fault(key)
    if fault is not None:
        raise StorageError(
            f"The object key {key[:200]!r} {fault}. Use the keys that PhotoKey.object_key makes.",
            retryable=False,
        )


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that reaches out of the store; the empty one means everything.

    Raises:
        StorageError: Not retryable.
    """
    folder, _, start = prefix.rpartition("/")
    if folder:
        check_key(folder)
    if "\0" in start or prefix.startswith("/"):
        raise StorageError(f"No key starts with the prefix {prefix[:200]!r}.", retryable=False)


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse metadata that some store would change or drop.

    Raises:
        StorageError: Not retryable.
    """
    for name in metadata:
        if not _NAME.fullmatch(name):
            raise StorageError(
                f"The metadata name {name[:80]!r} is not lower-case ASCII letters, digits, "
                "'_', '.' and '-'.",
                retryable=False,
            )
    size = sum(len(name) + len(encode_value(value)) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise StorageError(
            f"The metadata takes {size} bytes; at most {MAX_METADATA_BYTES} are possible.",
            retryable=False,
        )


def encode_value(value: str) -> str:
    """A metadata value as it can travel in an HTTP header: percent-encoded where it must be."""
    return quote(value, safe=_PLAIN)


def _fault(key: str) -> str | None:
    parts = key.split("/")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "is no valid Unicode"
    if "" in parts:
        return "is empty, absolute or has an empty part"
    if "." in parts or ".." in parts:
        return "has '.' or '..' as a part"
    if "\0" in key:
        return "holds a NUL character"
    if parts[0] == RESERVED:
        return f"starts with {RESERVED}, which the store keeps for itself"
    if size > MAX_KEY_BYTES:
        return f"has {size} bytes of at most {MAX_KEY_BYTES}"
    return None
