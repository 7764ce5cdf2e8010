"""Money as people read it. Programs get every digit."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

_CENT: Final = Decimal("0.01")
_TWO_DIGITS: Final = Context(prec=2, rounding=ROUND_HALF_UP)


def usd(amount: Decimal) -> str:
    """USD without a sign: two digits behind the point, ``1,234.50``.

    Of less than a cent two digits that count, ``0.0013``: it is not nothing.
    """
    if amount and abs(amount) < _CENT:
        return f"{_TWO_DIGITS.create_decimal(amount).normalize():f}"
    return f"{amount.quantize(_CENT, ROUND_HALF_UP):,}"
