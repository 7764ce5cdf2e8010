"""What each error code means, whether Photopipe retries automatically, and what to do: for people.

The texts are in `error_guide.toml`. The README, the command line and the pages show them, with what
plug-ins add (`runtime/advice.py`); `docs/fault-matrix.md` has every single fault.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from photopipe_dagster.core.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a person needs to know of one error code.

    Args:
        title: The cause in a few words.
        means: What has happened.
        again: Whether Photopipe retries automatically.
        do: What the operator should do.
        passing: What to do instead while it is tried again, or where the service was in trouble;
            empty: the same.
    """

    code: ErrorCode
    title: str
    means: str
    again: str
    do: str
    passing: str = ""


_ENTRIES: Final = tomllib.loads(files(__package__).joinpath("error_guide.toml").read_text("utf-8"))

GUIDE: Final[Mapping[ErrorCode, Guidance]] = {
    ErrorCode(code): Guidance(ErrorCode(code), **entry) for code, entry in _ENTRIES.items()
}
"""All codes, in the order in which they are explained."""
