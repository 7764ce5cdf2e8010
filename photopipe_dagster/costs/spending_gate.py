"""Which of the photos that wait for budget go out again: about as many as it can pay.

More would only come back with the same failure, tick after tick.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.money.budget import PRICE_DETAIL
from photopipe_dagster.providers.prices import PossiblePrices


class SpendingGate:
    """Hands out what the budget has left, photo by photo.

    Args:
        room: USD that may be spent now; ``None``: as much as you like.
        prices: What a photo may cost now.
        promised: USD that photos on their way may still need of it.
    """

    def __init__(self, room: Decimal | None, prices: PossiblePrices, promised: Decimal) -> None:
        self._room = room
        self._prices = prices
        self._left = Decimal(0) if room is None else room - promised
        self._may_try_one = promised == 0

    @classmethod
    def of(cls, ledger: Ledger, prices: PossiblePrices) -> Self:
        """What may be handed out now."""
        room = ledger.budget.room()
        if room is None:
            return cls(None, prices, Decimal(0))
        bare, cut_out = ledger.dispatches.in_progress()
        cutout, background = max(prices.cutouts), max(prices.backgrounds)
        return cls(room, prices, bare * (cutout + background) + cut_out * background)

    def allows(self, job: Job) -> bool:
        """Whether a waiting photo may go out; takes what it needs from what is left.

        If nothing is on its way and no photo can be paid whole, one goes out whose next step can
        be: that is paid work too, and is kept.
        """
        step, whole = self._needs(job)
        if self._room is None or whole == 0:
            return True
        if whole <= self._left:
            self._left -= whole
            self._may_try_one = False
            return True
        if self._may_try_one and step <= self._room:
            self._left = Decimal(0)
            self._may_try_one = False
            return True
        return False

    def _needs(self, job: Job) -> tuple[Decimal, Decimal]:
        """USD for the step that was refused, and for the whole photo.

        The price of the refusal holds as long as the list still has it; then the least is tried.
        """
        bare = job.object_keys[Stage.MASK] is None
        possible = self._prices.cutouts if bare else self._prices.backgrounds
        refused = Decimal(str((job.error_details or {}).get(PRICE_DETAIL, 0)))
        step = refused if refused in possible else min(possible)
        return step, step + (max(self._prices.backgrounds) if bare else Decimal(0))
