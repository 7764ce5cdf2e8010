"""What providers take, and from when; without opening them: sensors ask at every tick. Pure.

The prices themselves are in each provider's settings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

ProviderJob = Literal["cutout", "background"]
"""What a provider is asked for. The name of each article begins with the job that it is of."""

EXAMPLE: Final = "2027-01-01 cutout=0.03, background_2k=0.06; 2027-07-01 cutout=0.04"

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SMALLEST: Final = Decimal("0.000001")
_FREE: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class PriceChange:
    """New prices from the beginning of a UTC day; what is not named keeps its price.

    Args:
        prices: Articles, and USD. Hashable, as settings are.
    """

    day: date
    prices: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True)
class PriceList:
    """What a provider takes, and from when.

    Args:
        first: USD for one of each article that may be bought, before all changes; what is not
            among them is free.
        changes: In the order of their days; articles that may not be bought do not count.
    """

    first: Mapping[str, Decimal] = field(default_factory=dict)
    changes: tuple[PriceChange, ...] = ()

    def at(self, moment: datetime) -> Mapping[str, Decimal]:
        """USD for one of each article at a moment: a change holds from its day's beginning."""
        today = moment.astimezone(UTC).date()
        prices = dict(self.first)
        for change in self.changes:
            if change.day <= today:
                prices |= {name: usd for name, usd in change.prices if name in prices}
        return prices

    def of(self, job: ProviderJob, moment: datetime) -> tuple[Decimal, ...]:
        """USD that one cut-out or background may cost at a moment; one for each article."""
        prices = self.at(moment).items()
        return tuple(usd for name, usd in prices if name.startswith(job)) or (_FREE,)


@dataclass(frozen=True, slots=True)
class PossiblePrices:
    """What a photo may cost with the providers in use.

    Args:
        cutouts: USD for one of each that may be asked for.
        backgrounds: As above.
    """

    cutouts: tuple[Decimal, ...]
    backgrounds: tuple[Decimal, ...]


def parse_price_changes(text: str, articles: Collection[str]) -> tuple[PriceChange, ...]:
    """Read changes, such as `EXAMPLE`, and put them in the order of their days.

    Args:
        articles: All that has a price.

    Raises:
        ValueError: What is wrong, where, and how it must look.
    """
    changes = [_change(part.strip(), articles) for part in text.split(";") if part.strip()]
    days = [change.day for change in changes]
    for day in days:
        if days.count(day) > 1:
            raise ValueError(f"{day} stands there twice: name all its prices at once.")
    return tuple(sorted(changes, key=lambda change: change.day))


def _change(text: str, articles: Collection[str]) -> PriceChange:
    day, _, prices = text.partition(" ")
    named: dict[str, Decimal] = {}
    for part in prices.split(","):
        name, _, amount = (piece.strip() for piece in part.partition("="))
        if name not in articles:
            raise ValueError(
                f"{text!r} gives a price to {name!r}; there are {', '.join(articles)}. "
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
