"""What of an announcement can be kept and shown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

_SHOWN_CHARACTERS: Final = 300
_SHOWN_FIELDS: Final = 20


def without_secrets(item: object) -> dict[str, Any]:
    """What of an entry can be kept and shown: short, flat, and without the query of any URL.

    Args:
        item: As it was read from JSON.
    """
    if not isinstance(item, Mapping):
        return {"entry": _shown_value(item)}
    return {
        _printable(str(name)): _shown_value(value)
        for name, value in list(item.items())[:_SHOWN_FIELDS]
    }


def json_kind(value: object) -> str:
    """The JSON name of a value's type, with its article."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _shown_value(value: object) -> str | int | float | bool | None:
    if value is None or (isinstance(value, bool | int | float) and math.isfinite(value)):
        return value
    if not isinstance(value, str):
        return f"({json_kind(value)})"
    printable = _printable(value)
    return re.split(r"[?#]", printable, maxsplit=1)[0] if "//" in printable else printable


def _printable(text: str) -> str:
    # Lone surrogates and NUL cannot be stored by every database.
    return "".join(
        letter if letter.isprintable() else f"\\u{ord(letter):04x}"
        for letter in text[:_SHOWN_CHARACTERS]
    )
