"""What is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How loud."""

    INFO = "info"
    WARNING = "warning"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Message:
    """Something that people should know.

    Args:
        topic: What it is about, such as ``queue_age``: messages of one topic are not repeated
            before their time.
        title: One line.
        text: What happened and what to do, in plain text; no secret, no signed URL.
        level: How loud.
        url: The page on which people see it; empty: there is none.
        over: What is told when it is over; empty: nothing.
    """

    topic: str
    title: str
    text: str
    level: Level = Level.WARNING
    url: str = ""
    over: str = ""
