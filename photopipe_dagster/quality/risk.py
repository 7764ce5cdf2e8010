"""The risk that a merchandiser would not publish a cut-out: one probability, with its reasons.

It is told from what `imaging.evidence` measures in photo and cut-out, and from what the local
networks said where they were asked. The weights in ``risk.json`` were found by `training.risk`;
`docs/risk.md` says how well they do on photos that they were not found on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from photopipe_dagster.imaging.evidence import Evidence, Region

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, shares of a picture's width and height, 0 to 1."""

_TOLD: Final = 0.3
"""What a concern must add to the logarithm of the odds to be told of."""

_AT_MOST: Final = 3
"""Concerns that are told of."""

_WORDS: Final = {
    "ground inside": "ground may show through the product{where}",
    "product outside": "a part of the product may be missing{where}",
    "looks": "the networks disagree about what belongs to it",
    "stray": "a small piece is torn off: what joins it may be missing",
    "frame": "the photo's frame cuts it off",
    "ground": "the ground is rough, and may have come along at the rim",
    "thin": "it has thin parts and openings, which are easily lost or filled",
    "pale": "product and ground are hard to tell apart{where}",
}
"""What a concern is called; the names are those of ``risk.json``."""

_PLACES: Final = {
    "ground inside": "ground inside",
    "product outside": "product outside",
    "no edge": "pale",
}
"""The concern of a kind of region."""

_SEEN: Final = 0.01
"""Share of the product, or of its outline, from which a region is told of."""


@dataclass(frozen=True, slots=True)
class Term:
    """One number's part in the risk.

    Args:
        of: The number's name, or two joined by ``*``: the one as far as the other.
        concern: What it tells of, a key of the words.
        floor: Added before the logarithm is taken; ``None``: the number itself counts.
        middle: Subtracted.
        spread: Divided by.
        weight: Of what is left, in the logarithm of the odds.
    """

    of: str
    concern: str
    floor: float | None
    middle: float
    spread: float
    weight: float

    def part(self, numbers: Mapping[str, float]) -> float:
        """What it adds to the logarithm of the odds; 0 where the number is not known."""
        value = value_of(self.of, numbers)
        if value is None:
            return 0.0
        told = value if self.floor is None else math.log(value + self.floor)
        return self.weight * min(3.0, max(-3.0, (told - self.middle) / self.spread))


def value_of(name: str, numbers: Mapping[str, float]) -> float | None:
    """A number by its name, or the product of two whose names ``*`` joins; ``None`` where one of
    them is not known.
    """
    values = [numbers.get(each) for each in name.split("*")]
    known = [each for each in values if each is not None]
    return math.prod(known) if len(known) == len(values) else None


@dataclass(frozen=True, slots=True)
class Risk:
    """How likely it is that a cut-out is not fit to be published.

    Args:
        value: Probability, 0 to 1.
        reasons: What speaks against it, the worst first, in words.
        box: Where the worst of them is to be seen in the photo, if it has a place.
    """

    value: float
    reasons: tuple[str, ...] = ()
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class RiskModel:
    """Weights of a logistic regression.

    Args:
        intercept: Logarithm of the odds of an ordinary cut-out.
    """

    intercept: float
    terms: tuple[Term, ...]

    def risk(self, evidence: Evidence, networks: Mapping[str, float]) -> Risk:
        """Judge a cut-out.

        Args:
            networks: What the networks said, by name; unknown where they were not asked.
        """
        numbers = {**evidence.numbers, **networks}
        concerns: dict[str, float] = {}
        for term in self.terms:
            concerns[term.concern] = concerns.get(term.concern, 0.0) + term.part(numbers)
        odds = self.intercept + sum(concerns.values())
        places = {
            _PLACES[region.kind]: region
            for region in sorted(evidence.regions, key=lambda region: region.share)
            if region.kind in _PLACES and region.share > _SEEN
        }
        worst = sorted(concerns, key=lambda name: concerns[name], reverse=True)
        names = [*reversed(places), *(name for name in worst if concerns[name] > _TOLD)]
        names = list(dict.fromkeys(names))[:_AT_MOST]
        return Risk(
            1 / (1 + math.exp(-odds)),
            tuple(
                _WORDS[name].format(where=_where(places.get(name), evidence.product))
                for name in names
            ),
            next((places[name].box for name in names if name in places), None),
        )


@cache
def risk_model() -> RiskModel:
    """The model that is shipped."""
    data = json.loads(files(__package__).joinpath("risk.json").read_text("utf-8"))
    return RiskModel(data["intercept"], tuple(Term(**term) for term in data["terms"]))


def told(reasons: Sequence[str]) -> str:
    """Reasons as one sentence for a person."""
    if not reasons:
        return "Compare the outline with the photo."
    text = "; ".join(reasons)
    return f"{text[0].upper()}{text[1:]}. Compare the outline with the photo."


def _where(region: Region | None, product: Box | None) -> str:
    """Where on the product that is, in words."""
    if region is None or product is None:
        return ""
    left, top, right, bottom = region.box
    across = ((left + right) / 2 - product[0]) / max(1e-6, product[2] - product[0])
    down = ((top + bottom) / 2 - product[1]) / max(1e-6, product[3] - product[1])
    row = "upper" if down < 1 / 3 else "lower" if down > 2 / 3 else ""
    column = "left" if across < 1 / 3 else "right" if across > 2 / 3 else ""
    place = " ".join(filter(None, (row, column)))
    if not place:
        return " in the middle"
    return f" at the {place}" if column else f" in its {row} part"
