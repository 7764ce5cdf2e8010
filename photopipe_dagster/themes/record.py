"""A theme as a record: read from what somebody sends or the ledger keeps, and written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from photopipe_dagster.core.errors import InvalidRecordError
from photopipe_dagster.core.json_text import read_json
from photopipe_dagster.quality.gates import DEFAULT_GATES
from photopipe_dagster.themes.model import Theme

MAX_FILE_BYTES: Final = 100_000
"""A theme is a few kilobytes; what is larger is not read."""

_FORMAT: Final = "photopipe-theme/1"

_MOST_FAULTS: Final = 5

_THEME: Final = TypeAdapter(Theme)


def read_theme(content: Mapping[str, Any]) -> Theme:
    """A theme from its record.

    Raises:
        InvalidRecordError: It is none; names each field and what is wrong with it.
    """
    try:
        # By way of JSON, so that pydantic is strict and yet takes a list for a tuple.
        return _THEME.validate_json(json.dumps(content))
    except ValidationError as error:
        raise InvalidRecordError(f"This is no theme. {described(error)}") from None


def as_record(theme: Theme) -> dict[str, Any]:
    """The record of a theme: all of its fields, and of its gates those that are its own."""
    record: dict[str, Any] = _THEME.dump_python(theme, mode="json", warnings=False)
    shipped = asdict(DEFAULT_GATES)
    record["gates"] = {
        name: limit for name, limit in record["gates"].items() if limit != shipped[name]
    }
    return record


def read_file(data: bytes) -> Theme:
    """A theme from a file that `as_file` made.

    Raises:
        InvalidRecordError: It is none; says why.
    """
    if len(data) > MAX_FILE_BYTES:
        raise InvalidRecordError(
            f"The file has {len(data)} bytes; a theme has {MAX_FILE_BYTES} at most. "
            "`photopipe theme export` makes one."
        )
    try:
        content = read_json(data, allow_inf_nan=False)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InvalidRecordError(
            f"This is no file of a theme: it is JSON with the format {_FORMAT}. "
            "`photopipe theme export` makes one."
        )
    if not isinstance(content.get("theme"), dict) or set(content) != {"format", "theme"}:
        raise InvalidRecordError("The file of a theme has format and theme, and nothing else.")
    return read_theme(content["theme"])


def as_file(theme: Theme) -> bytes:
    """A theme as a file, for git or another shop."""
    content = {"format": _FORMAT, "theme": as_record(theme)}
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def differences(old: Theme, new: Theme) -> dict[str, tuple[object, object]]:
    """What differs between two themes: before and after, by field (``light.softness``)."""
    before, after = dict(flat(as_record(old))), dict(flat(as_record(new)))
    names = dict.fromkeys((*before, *after))
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The fields of a record by name, those of its parts as ``light.softness``."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def described(error: ValidationError) -> str:
    """Field and fault of each, but never the value: it may be 100,000 characters long.

    For the errors of any record.
    """
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    told = [
        f"{'.'.join(str(part)[:64] for part in fault['loc'])}: {_fault(fault)}"
        for fault in faults[:_MOST_FAULTS]
    ]
    more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
    return f"{'; '.join(told)}{more}."


def _fault(fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "unexpected_keyword_argument":
            return "there is no such field"
        case "missing" | "missing_argument":
            return "is missing"
        case "value_error":
            return str(fault["msg"]).removeprefix("Value error, ")[:200]
        case _:
            return str(fault["msg"])[:200]
