"""PRICE_CHANGES: prices that hold from a day on, as text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

PRICED: Final = ("cutout", "background_1k", "background_2k", "background_4k")
"""What has a price; PRICE_…_USD of the same names are the prices before all changes."""

EXAMPLE: Final = "2027-01-01 cutout=0.03, background_2k=0.06; 2027-07-01 cutout=0.04"

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SMALLEST: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class PriceChange:
    """New prices from the beginning of a UTC day; what is not named keeps its price.

    Args:
        prices: Names of `PRICED`, and USD. Hashable, as settings are.
    """

    day: date
    prices: tuple[tuple[str, Decimal], ...]

    def price(self, name: str, before: Decimal) -> Decimal:
        """The new price in USD, or the one before where it does not change."""
        return dict(self.prices).get(name, before)


def parse_price_changes(text: str) -> tuple[PriceChange, ...]:
    """Read changes, such as `EXAMPLE`, and put them in the order of their days.

    Raises:
        ValueError: What is wrong, where, and how it must look.
    """
    changes = [_change(part.strip()) for part in text.split(";") if part.strip()]
    days = [change.day for change in changes]
    for day in days:
        if days.count(day) > 1:
            raise ValueError(f"{day} stands there twice: name all its prices at once.")
    return tuple(sorted(changes, key=lambda change: change.day))


def _change(text: str) -> PriceChange:
    day, _, prices = text.partition(" ")
    named: dict[str, Decimal] = {}
    for part in prices.split(","):
        name, _, amount = (piece.strip() for piece in part.partition("="))
        if name not in PRICED:
            raise ValueError(
                f"{text!r} gives a price to {name!r}; there are {', '.join(PRICED)}. "
                f"It must look like {EXAMPLE!r}."
            )
        if name in named:
            raise ValueError(f"{text!r} gives two prices to {name!r}.")
        named[name] = _amount(amount, text)
    return PriceChange(_day(day, text), tuple(named.items()))


def _day(day: str, text: str) -> date:
    try:
        if _DAY.fullmatch(day):
            return date.fromisoformat(day)
    except ValueError:
        pass
    raise ValueError(f"{text!r} must begin with a day, such as 2027-01-01, and not with {day!r}.")


def _amount(amount: str, text: str) -> Decimal:
    try:
        usd = Decimal(amount)
    except InvalidOperation:
        raise ValueError(f"{text!r} has {amount!r} where USD must stand, such as 0.03.") from None
    if not usd.is_finite() or usd < 0 or usd % _SMALLEST:
        raise ValueError(
            f"{text!r} has {amount!r} where USD must stand: 0 or more, to a millionth at most."
        )
    return usd
