"""JSON as other programs send it: not quite RFC 8259, but it can be told what is meant.

.NET writes a byte order mark before it; JavaScript cuts texts in the middle of an emoji, and others
in the middle of a UTF-8 sequence. One such text must not make the whole document unreadable.
"""

from __future__ import annotations

import json
import math
from codecs import BOM_UTF8
from typing import Any, Final

from pydantic_core import from_json

STRICT: Final[dict[str, Any]] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""``__pydantic_config__`` of a dataclass that is read from a record: no unknown field, no text in
the place of a number, and no number that is none."""

_MAX_DIGITS: Final = 4300
"""Python reads no longer integers, because that takes quadratic time."""


def read_json(data: bytes, *, allow_inf_nan: bool = True) -> Any:
    """The value of a JSON document; a byte order mark is ignored.

    What was cut within a character is kept as a lone surrogate, so that anyone who takes the text
    sees that it is not whole: it cannot be encoded, and `pydantic` refuses it.

    Args:
        allow_inf_nan: Whether ``NaN`` and ``Infinity``, which are no JSON, are read.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return from_json(data.removeprefix(BOM_UTF8), allow_inf_nan=allow_inf_nan)
    except ValueError:
        return _read_leniently(data, allow_inf_nan=allow_inf_nan)


def whole_texts(value: Any) -> Any:
    """A value from `read_json` with U+FFFD in the place of lone surrogates, so that it can be kept.

    For texts that are shown, not for those that name something.
    """
    if isinstance(value, str):
        return value if _is_whole(value) else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [whole_texts(each) for each in value]
    if isinstance(value, dict):
        return {whole_texts(name): whole_texts(each) for name, each in value.items()}
    return value


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_leniently(data: bytes, *, allow_inf_nan: bool) -> Any:
    encoding = json.detect_encoding(data)
    # Of what is no UTF-8, `surrogateescape` keeps each byte; UTF-16 and 32 have no such bytes.
    text = data.decode(
        encoding, "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
    )
    try:
        return json.loads(
            text, parse_int=_integer, parse_constant=float if allow_inf_nan else _no_constant
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
