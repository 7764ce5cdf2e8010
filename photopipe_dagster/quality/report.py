"""What the checks and the people of a shop said of its pictures, counted.

Each limit is also tried at other values: how many pictures that went out by themselves it would
have held, how many rejected ones it catches, and how many approved ones would not have waited.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from photopipe_dagster.quality.calibration import RISK
from photopipe_dagster.quality.gates import Limit
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict, measures_at


class Fate(StrEnum):
    """What became of a picture."""

    BY_ITSELF = "published by itself"
    WAITS = "waits"
    APPROVED = "approved"
    REJECTED = "rejected"
    ANOTHER_BACKGROUND = "another background"
    REPAIRED = "repaired"


NOT_GOOD: Final = (Fate.REJECTED, Fate.REPAIRED)
"""What says of a picture that it was not good enough to publish."""

DECIDED: Final = (Fate.APPROVED, *NOT_GOOD)
"""What says of a picture whether it was good enough."""

BANDS: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Where one band of risk ends and the next begins."""

STEPS: Final = (0.5, 0.75, 1.0, 1.5, 2.0)
"""What a limit is multiplied by to try it at other values."""

_MORE_REASONS: Final = 5
"""Reasons of rejections that are told, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture with what was measured of it, and what became of it.

    Args:
        kind: Of the product; empty if nothing says what it is.
        other_reasons: Whether a person had to look for a reason that is no measure.
        note: Why it was rejected.
    """

    theme: str
    kind: str
    fate: Fate
    checks: tuple[CheckResult, ...]
    other_reasons: bool = False
    note: str = ""

    @property
    def measures(self) -> dict[str, Measure]:
        """By name."""
        return {each.name: each for check in self.checks for each in check.measures}

    @property
    def band(self) -> str:
        """The band of its risk, as ``2 to 5 %``; ``not measured`` where it was not."""
        risk = self.measures.get(RISK)
        if risk is None:
            return "not measured"
        place = bisect(BANDS, float(risk.value))
        if place == len(BANDS):
            return f"{100 * BANDS[-1]:.0f} % and more"
        return f"{100 * (0, *BANDS)[place]:.0f} to {100 * BANDS[place]:.0f} %"

    def held_without(self, name: str) -> bool:
        """Whether a person had looked anyway without the limit of a measure."""
        short = {each.name for each in measures_at(self.checks, Verdict.WARN)}
        return self.other_reasons or bool(short - {name})


@dataclass(frozen=True, slots=True)
class Row:
    """Pictures of one group, by what became of them.

    Args:
        group: Of the theme, the band of risk and the kind, those that were asked for.
        held: Those that a person had to look at: they wait, or were decided on.
        rejected: With those whose cut-out was repaired by hand.
    """

    group: tuple[str, ...]
    by_itself: int
    held: int
    waits: int
    approved: int
    rejected: int
    another_background: int
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What a limit would have done at one value.

    Args:
        measure: Its name.
        limit: Such as ``≤ 0.05``.
        in_force: Whether it was that.
        holds: Pictures beyond it.
        more: Of these, those that went out by themselves.
        caught: Of these, those that a person rejected or repaired.
        missed: Rejected and repaired ones that neither it nor anything else would have held.
        spared: Approved ones that nobody would have had to look at.
    """

    measure: str
    limit: str
    in_force: bool
    holds: int
    more: int
    caught: int
    missed: int
    spared: int


GROUPS: Final[Mapping[str, Callable[[Seen], str]]] = {
    "theme": lambda seen: seen.theme,
    "risk": lambda seen: seen.band,
    "kind": lambda seen: seen.kind or "not known",
}
"""What pictures are counted by."""


def counted(pictures: Iterable[Seen], by: Sequence[str] = tuple(GROUPS)) -> list[Row]:
    """How many pictures of each group went out, were held, approved and rejected.

    Args:
        by: Of `GROUPS`.
    """
    groups: dict[tuple[str, ...], list[Seen]] = {}
    for seen in pictures:
        groups.setdefault(tuple(GROUPS[name](seen) for name in by), []).append(seen)
    return [_row(group, groups[group]) for group in sorted(groups)]


def _row(group: tuple[str, ...], pictures: Sequence[Seen]) -> Row:
    fates = Counter(seen.fate for seen in pictures)
    notes = Counter(seen.note or "no reason given" for seen in pictures if _rejected(seen))
    return Row(
        group,
        by_itself=fates[Fate.BY_ITSELF],
        held=len(pictures) - fates[Fate.BY_ITSELF],
        waits=fates[Fate.WAITS],
        approved=fates[Fate.APPROVED],
        rejected=sum(fates[fate] for fate in NOT_GOOD),
        another_background=fates[Fate.ANOTHER_BACKGROUND],
        reasons=tuple(notes.most_common(_MORE_REASONS)),
    )


def tried(pictures: Sequence[Seen]) -> list[Tried]:
    """What each limit would have done at other values, measure by measure.

    A limit stands for the pictures of all themes that have the same one.
    """
    with_limit: dict[tuple[str, str], list[Seen]] = {}
    for seen in pictures:
        for name, measure in seen.measures.items():
            if is_number(measure.value) and Limit.read(measure.limit) is not None:
                with_limit.setdefault((name, measure.limit), []).append(seen)
    return [
        _tried(name, limit, text == str(limit), those)
        for (name, text), those in sorted(with_limit.items())
        for limit in _steps(text)
    ]


def _steps(text: str) -> list[Limit]:
    limit = Limit.read(text)
    if limit is None:
        return []
    warns = dict.fromkeys(float(f"{limit.warn * step:.4g}") for step in STEPS)
    return [replace(limit, warn=warn) for warn in warns]


def _tried(name: str, limit: Limit, in_force: bool, pictures: Sequence[Seen]) -> Tried:
    beyond = [seen for seen in pictures if is_beyond(limit, seen, name)]
    within = [seen for seen in pictures if not is_beyond(limit, seen, name)]
    let_go = [seen for seen in within if not seen.held_without(name)]
    return Tried(
        name,
        str(limit),
        in_force,
        holds=len(beyond),
        more=sum(seen.fate is Fate.BY_ITSELF for seen in beyond),
        caught=sum(map(_rejected, beyond)),
        missed=sum(map(_rejected, let_go)),
        spared=sum(seen.fate is Fate.APPROVED for seen in let_go),
    )


def is_beyond(limit: Limit, seen: Seen, name: str) -> bool:
    """Whether a picture's measure is beyond a limit; one that was not measured is not."""
    measure = seen.measures.get(name)
    return (
        measure is not None
        and is_number(measure.value)
        and limit.verdict(float(measure.value)) is not Verdict.PASS
    )


def is_number(value: object) -> bool:
    """Whether a measure's value is a number, which a truth is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rejected(seen: Seen) -> bool:
    return seen.fate in NOT_GOOD
