"""What paid providers take, and from when; without opening them: sensors ask at every tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Self

from photopipe_dagster.core.price_schedule import PriceChange
from photopipe_dagster.core.settings import Settings

_FREE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Prices:
    """USD for one cut-out, and for one background of each resolution, at some moment."""

    cutout: Decimal
    backgrounds: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class PriceList:
    """What Freepik takes, and from when.

    Args:
        first: The prices before all changes.
        changes: In the order of their days.
    """

    first: Prices
    changes: tuple[PriceChange, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The prices of PRICE_…_USD and PRICE_CHANGES."""
        backgrounds = {
            "1k": settings.price_background_1k_usd,
            "2k": settings.price_background_2k_usd,
            "4k": settings.price_background_4k_usd,
        }
        return cls(Prices(settings.price_cutout_usd, backgrounds), settings.price_changes)

    def at(self, moment: datetime) -> Prices:
        """The prices that hold at a moment; a change holds from the beginning of its UTC day."""
        today = moment.astimezone(UTC).date()
        cutout, backgrounds = self.first.cutout, dict(self.first.backgrounds)
        for change in self.changes:
            if change.day > today:
                break
            cutout = change.price("cutout", cutout)
            backgrounds = {
                resolution: change.price(f"background_{resolution}", before)
                for resolution, before in backgrounds.items()
            }
        return Prices(cutout, backgrounds)


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a photo may cost with the configured providers.

    Args:
        cutout: USD for one.
        backgrounds: USD for one of each resolution that may be asked for.
    """

    cutout: Decimal
    backgrounds: tuple[Decimal, ...]

    @classmethod
    def at(cls, moment: datetime, settings: Settings) -> Self:
        """The tariff of a moment."""
        prices = PriceList.from_settings(settings).at(moment)
        cutout = prices.cutout if settings.cutouts == "freepik" else _FREE
        if settings.backgrounds != "freepik":
            return cls(cutout, (_FREE,))
        fixed = prices.backgrounds.get(settings.freepik_resolution)
        return cls(cutout, tuple(prices.backgrounds.values()) if fixed is None else (fixed,))
