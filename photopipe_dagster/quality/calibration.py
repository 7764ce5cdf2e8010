"""What a shop has made of the limits that ship, from its own decisions.

Nothing heavy is imported here: every run reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

RISK: Final = "risk"
"""Name of the measure that is a probability: that a merchandiser would not publish the cut-out."""

RISK_AS_SHIPPED: Final = "risk as shipped"
"""Name of the measure that is kept beside it where a shop's map has changed it."""

_FARTHEST: Final = 1e-4
"""Probabilities are kept so far from 0 and 1, where their logarithm has no end."""


@dataclass(frozen=True, slots=True)
class RiskMap:
    """A monotone map of a probability (Platt's): its log odds times a slope, plus an offset.

    Args:
        slope: More than 0; 1 leaves the order and the spread of risks as they are.
        offset: Of log odds.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, risk: float) -> float:
        """The probability, 0 to 1, that this shop makes of one."""
        return 1 / (1 + math.exp(-self.slope * log_odds(risk) - self.offset))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is in force in the place of what ships.

    Args:
        limits: By the name in `gates.Gates`, the number beyond which a person looks.
        risk: How the risk is read; ``None`` as it is.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    risk: RiskMap | None = None

    def as_record(self) -> dict[str, Any]:
        """As JSON, for the ledger."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: Mapping[str, Any] | None) -> Self:
        """Read back what `as_record` made; ``None``: the limits that ship."""
        if not record:
            return cls()
        risk = record["risk"]
        return cls(record["limits"], None if risk is None else RiskMap(**risk))


def log_odds(risk: float) -> float:
    """The logarithm of a probability's odds, from -9.2 to 9.2."""
    kept = min(max(risk, _FARTHEST), 1 - _FARTHEST)
    return math.log(kept / (1 - kept))
