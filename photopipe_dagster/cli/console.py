"""What all commands share: where they print, how, and the settings they begin with."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.text import Text

from photopipe_dagster.core.errors import ConfigurationError, PhotopipeError
from photopipe_dagster.core.screen import one_line, screen
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.money.budget import Period
from photopipe_dagster.runtime.configuration import read_configuration

console = screen()
errors = screen(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show.")]

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def print_error(message: str) -> None:
    """Say in one line, however narrow the screen, what went wrong."""
    errors.print(Text(one_line(message), style="red"), soft_wrap=True)


def read_settings(read: Callable[[], Settings] = read_configuration) -> Settings:
    """The settings; where they cannot work, say what is wrong with each and end with status 2."""
    try:
        return read()
    except ConfigurationError as error:
        print_error(str(error))
        raise SystemExit(2) from None
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            where = ".".join(str(part) for part in problem["loc"]).upper() or "Settings"
            print_error(f"{where}: {problem['msg']}")
        raise SystemExit(2) from None


def read_moment(text: str | None) -> datetime | None:
    """What an option such as ``--since`` means: so long ago, or a date or time, UTC by default.

    Raises:
        PhotopipeError: It means nothing.
    """
    if text is None:
        return None
    if text[:-1].isdigit() and text[-1] in _UNITS:
        return datetime.now(UTC) - timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PhotopipeError(
            f"--since {text!r} is invalid. Use 90m, 24h, 7d or 2026-11-01."
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def person() -> str:
    """Who runs the command, for the ledger; containers may have no name for their user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "command line"


def print_json(value: object) -> None:
    """Print for other programs to read: nothing but JSON goes to standard output."""
    print(json.dumps(value, indent=2, default=str))  # noqa: T201


def period_as_json(period: Period) -> dict[str, str | None]:
    """What a budget allows, USD as strings, so that no digit is lost."""
    return {
        "spent": str(period.spent),
        "limit": None if period.limit is None else str(period.limit),
        "left": None if period.room is None else str(period.room),
        "ends": period.ends.isoformat(),
    }


def counted(number: int, thing: str) -> str:
    """How many of a thing: ``1 photo``, ``3,000 photos``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
