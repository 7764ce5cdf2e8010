"""What scenes have saved: backgrounds that would have been bought one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.runtime.providers import possible_prices
from photopipe_dagster.runtime.scenes import OF_SCENES, SCENE


@dataclass(frozen=True, slots=True)
class Savings:
    """What scenes have saved.

    Args:
        pictures: Backgrounds that are parts of scenes.
        price: USD of one that is bought, by today's prices: the least that it may be.
        scenes: USD that scenes have cost.
    """

    pictures: int
    price: Decimal
    scenes: Decimal

    @property
    def total(self) -> Decimal:
        """USD; less than 0 while scenes have cost more than the backgrounds would have."""
        return self.pictures * self.price - self.scenes


def savings(settings: Settings, ledger: Ledger, since: datetime | None = None) -> Savings:
    """What scenes have saved since a moment, or ever. Reads the steps of that time.

    Raises:
        ConfigurationError: The settings name a provider that there is not.
    """
    price = min(possible_prices(settings, ledger.database.now()).backgrounds)
    spent = {each["theme"]: each["amount"] for each in ledger.spending.by("theme", since=since)}
    return Savings(
        ledger.steps.count_made_by(SCENE, since), price, spent.get(OF_SCENES, Decimal(0))
    )
