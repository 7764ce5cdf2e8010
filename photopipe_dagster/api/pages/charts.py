"""Plots as numbers for SVG: what templates draw, computed here so that they only place it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from photopipe_dagster.ledger.stats.dashboard import Point

HEIGHT: Final = 120
"""Units of the plot's height."""

SLOT: Final = 20
"""Units of a column's width with its gap."""

_GAP: Final = 4


@dataclass(frozen=True, slots=True)
class Column:
    """One stacked column: published below, failed on top. Units of the plot.

    Args:
        label: What it stands for, for a person.
        x: Its left edge.
        published: Top and height.
        failed: Top and height.
    """

    label: str
    x: int
    published: tuple[float, float]
    failed: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Columns:
    """A plot of columns.

    Args:
        top: The number at its upper edge.
        width: Units.
    """

    columns: tuple[Column, ...]
    top: int
    width: int
    height: int = HEIGHT
    column_width: int = SLOT - _GAP


def columns(points: Sequence[Point]) -> Columns:
    """Photos by hour or day."""
    highest = max((point.published + point.failed for point in points), default=0)
    top = _round_up(highest)
    scale = HEIGHT / top
    by_hour = len(points) > 1 and (points[1].begins - points[0].begins).days == 0
    drawn = []
    for number, point in enumerate(points):
        published, failed = point.published * scale, point.failed * scale
        when = f"{point.begins:%H:00}" if by_hour else f"{point.begins:%a %-d %b}"
        drawn.append(
            Column(
                f"{when}: {point.published} published, {point.failed} failed",
                number * SLOT + _GAP // 2,
                (round(HEIGHT - published, 2), round(published, 2)),
                (round(HEIGHT - published - failed, 2), round(failed, 2)),
            )
        )
    return Columns(tuple(drawn), top, len(points) * SLOT)


def _round_up(number: int) -> int:
    """The next 1, 2 or 5 with zeros, at least 5, so that the scale reads well."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if step * size >= max(number, 5):
                return step * size
        size *= 10
