"""What the configured providers take, without opening them: sensors ask at every tick."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from photopipe_dagster.settings import Settings

_FREE = Decimal(0)


@dataclass(frozen=True, slots=True)
class PriceList:
    """USD for one cut-out, and for one background of each resolution that may be asked for."""

    cutout: Decimal
    backgrounds: tuple[Decimal, ...]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The prices that hold now."""
        cutout = settings.price_cutout_usd if settings.cutouts == "freepik" else _FREE
        if settings.backgrounds != "freepik":
            return cls(cutout, (_FREE,))
        by_resolution = {
            "1k": settings.price_background_1k_usd,
            "2k": settings.price_background_2k_usd,
            "4k": settings.price_background_4k_usd,
        }
        fixed = by_resolution.get(settings.freepik_resolution)
        return cls(cutout, tuple(by_resolution.values()) if fixed is None else (fixed,))
