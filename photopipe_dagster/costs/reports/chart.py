"""A bar chart of days, as an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

from photopipe_dagster.core.money import usd

_BAR: Final = 18
_GAP: Final = 4
_HEIGHT: Final = 120
_MARGIN: Final = 26


def bar_chart(days: Sequence[tuple[date, Decimal]], title: str) -> str:
    """An SVG document: one bar a day, the highest labelled.

    Args:
        days: Days and USD, in order.
        title: What it shows, for people who cannot see it, too.
    """
    highest = max((amount for _, amount in days), default=Decimal(0))
    width = 2 * _MARGIN + len(days) * (_BAR + _GAP)
    height = _HEIGHT + 2 * _MARGIN
    bars = []
    for position, (day, amount) in enumerate(days):
        tall = float(amount / highest) * _HEIGHT if highest else 0.0
        left = _MARGIN + position * (_BAR + _GAP)
        bars.append(
            f'<rect x="{left}" y="{_MARGIN + _HEIGHT - tall:.1f}" width="{_BAR}" '
            f'height="{tall:.1f}" rx="2" fill="#4f46e5">'
            f"<title>{day}: {usd(amount)} USD</title></rect>"
            f'<text x="{left + _BAR / 2}" y="{height - 10}" text-anchor="middle">{day.day}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="10" fill="#555">'
        f"<title>{escape(title)}</title>"
        f'<text x="{_MARGIN}" y="14">{escape(title)}; highest {usd(highest)} USD</text>'
        f"{''.join(bars)}</svg>"
    )
