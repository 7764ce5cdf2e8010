"""What a shop's own decisions say of its limits: proposed, and never written here.

The risk is read through a monotone map (Platt's), fitted to approvals and rejections and held
close to what ships where they are few. A limit is widened where people approved what it alone had
held, and narrowed where they rejected what it had let pass.

Decisions are of pictures that a person had to look at. Nothing is said of those that went out by
themselves: a shop that wants to know has a person look at a theme for a while
(`APPROVAL_REQUIRED`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.quality.calibration import (
    RISK,
    RISK_AS_SHIPPED,
    Calibration,
    RiskMap,
    log_odds,
)
from photopipe_dagster.quality.gates import DEFAULT_GATES, GATE_OF, AtMost, Limit
from photopipe_dagster.quality.report import DECIDED, NOT_GOOD, Fate, Seen, is_beyond, is_number

LEAST_DECISIONS: Final = 60
"""Approvals and rejections that there must be before anything is proposed."""

LEAST_OF_EACH: Final = 10
"""The same of approvals, and of rejections."""

_WIDEN_AFTER: Final = 20
"""Pictures that a limit alone has held, of which nearly all were approved."""

_STILL_REJECTED: Final = 0.05
"""Share of those that may have been rejected."""

_NARROW_AFTER: Final = 10
"""Pictures that a limit has let pass, of which most were rejected."""

_MOSTLY_REJECTED: Final = 0.5
"""Share of those that were."""

_PRIOR: Final = np.diag([1.0, 4.0])
"""How firmly offset and slope are held at 0 and 1: as a few decisions would."""

_LEAST_SLOPE: Final = 0.1
"""A map that is flatter would put nothing in order."""

Floats = NDArray[np.float64]


class TooFewDecisionsError(PhotopipeError):
    """People have not decided on enough pictures to propose anything."""


@dataclass(frozen=True, slots=True)
class NewLimit:
    """Another value of a limit.

    Args:
        gate: Its name in `gates.Gates`.
        decisions: Pictures that say so.
        rejected: Of these, those that were rejected.
        holds_more: Pictures that went out by themselves, and would have been held.
        holds_less: Decided ones that nobody would have had to look at.
    """

    gate: str
    measure: str
    before: str
    after: str
    decisions: int
    rejected: int
    holds_more: int
    holds_less: int


@dataclass(frozen=True, slots=True)
class NewRisk:
    """Another reading of the risk.

    Args:
        decisions: Those that it was fitted to.
        brier_before: Mean squared error of the risk as it is read now, against rejections.
        brier_after: The same of the map, of decisions that it was not fitted to (in folds).
        holds_more: Pictures that went out by themselves, and would have been held.
        holds_less: Decided ones that nobody would have had to look at.
    """

    decisions: int
    brier_before: float
    brier_after: float
    holds_more: int
    holds_less: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed; it is in force when somebody has written it.

    Args:
        calibration: All of it, with what is in force already.
        kept: Why something was not proposed, for a person.
    """

    approved: int
    rejected: int
    calibration: Calibration
    limits: tuple[NewLimit, ...] = ()
    risk: NewRisk | None = None
    kept: tuple[str, ...] = field(default=())

    @property
    def changes(self) -> bool:
        """Whether anything is proposed."""
        return bool(self.limits) or self.risk is not None


def propose(pictures: Sequence[Seen], now: Calibration) -> Proposal:
    """What the decisions on pictures speak for.

    Args:
        now: What is in force.

    Raises:
        TooFewDecisionsError: There are fewer than `LEAST_DECISIONS`, or than `LEAST_OF_EACH`.
    """
    decided = [seen for seen in pictures if seen.fate in DECIDED]
    rejected = sum(seen.fate in NOT_GOOD for seen in decided)
    approved = len(decided) - rejected
    if len(decided) < LEAST_DECISIONS or min(approved, rejected) < LEAST_OF_EACH:
        raise TooFewDecisionsError(
            f"People approved {approved} and rejected {rejected} pictures. To propose limits takes "
            f"{LEAST_DECISIONS} decisions, with at least {LEAST_OF_EACH} of each: go on with "
            "`/review`, or have a person look at every picture of a theme for a while "
            "(APPROVAL_REQUIRED)."
        )
    proposal = Proposal(approved, rejected, now)
    limits = tuple(
        new
        for (measure, sign), gate in GATE_OF.items()
        if measure != RISK and (new := _new_limit(pictures, decided, measure, sign, gate, now))
    )
    values = {new.gate: _number(new.after) for new in limits}
    calibration = replace(now, limits={**now.limits, **values})
    return _with_risk(replace(proposal, limits=limits, calibration=calibration), pictures, decided)


def _number(limit: str) -> float:
    read = Limit.read(limit)
    assert read is not None  # noqa: S101  # it was written by `str`
    return read.warn


# --- limits ----------------------------------------------------------------------------------


def _new_limit(
    pictures: Sequence[Seen],
    decided: Sequence[Seen],
    measure: str,
    sign: str,
    gate: str,
    now: Calibration,
) -> NewLimit | None:
    shipped: Limit = getattr(DEFAULT_GATES, gate)
    limit = replace(shipped, warn=now.limits.get(gate, shipped.warn))
    known = [seen for seen in decided if _has(seen, measure, sign)]
    alone = [
        seen for seen in known if is_beyond(limit, seen, measure) and not seen.held_without(measure)
    ]
    passed = [seen for seen in known if not is_beyond(limit, seen, measure)]
    wider = _wider(limit, measure, alone)
    narrower = None if wider is not None else _narrower(limit, measure, passed)
    found = wider or narrower
    if found is None:
        return None
    after, those = found
    return NewLimit(
        gate,
        measure,
        str(limit),
        str(after),
        len(those),
        sum(seen.fate in NOT_GOOD for seen in those),
        holds_more=sum(
            seen.fate is Fate.BY_ITSELF
            and is_beyond(after, seen, measure)
            and not is_beyond(limit, seen, measure)
            for seen in pictures
            if _has(seen, measure, sign)
        ),
        holds_less=0 if wider is None else len(those),
    )


def _has(seen: Seen, measure: str, sign: str) -> bool:
    found = seen.measures.get(measure)
    return found is not None and is_number(found.value) and found.limit.startswith(sign)


def _value(seen: Seen, measure: str) -> float:
    return float(seen.measures[measure].value)


def _wider(limit: Limit, measure: str, alone: Sequence[Seen]) -> tuple[Limit, list[Seen]] | None:
    """The farthest limit within which people have approved nearly all that it alone had held."""
    outwards = sorted(
        alone, key=lambda seen: _value(seen, measure), reverse=not isinstance(limit, AtMost)
    )
    best = None
    for count in range(_WIDEN_AFTER, len(outwards) + 1):
        those = outwards[:count]
        after = _rounded(limit, _value(those[-1], measure))
        if limit.fail is not None and type(limit).beyond(after.warn, limit.fail):
            break
        within = [seen for seen in outwards if not is_beyond(after, seen, measure)]
        rejected = sum(seen.fate in NOT_GOOD for seen in within)
        if rejected <= _STILL_REJECTED * len(within) and after != limit:
            best = after, within
    return best


def _narrower(
    limit: Limit, measure: str, passed: Sequence[Seen]
) -> tuple[Limit, list[Seen]] | None:
    """The strictest limit beyond which people have rejected most of what it had let pass."""
    inwards = sorted(
        passed, key=lambda seen: _value(seen, measure), reverse=isinstance(limit, AtMost)
    )
    best = None
    for count in range(_NARROW_AFTER, len(inwards)):
        after = _rounded(limit, _value(inwards[count], measure))
        beyond = [seen for seen in inwards if is_beyond(after, seen, measure)]
        rejected = sum(seen.fate in NOT_GOOD for seen in beyond)
        enough = len(beyond) >= _NARROW_AFTER and rejected >= _MOSTLY_REJECTED * len(beyond)
        if enough and after != limit:
            best = after, beyond
    return best


def _rounded(limit: Limit, value: float) -> Limit:
    """A limit of two digits that a value keeps."""
    if value == 0:
        return replace(limit, warn=0.0)
    digits = 1 - int(np.floor(np.log10(abs(value))))
    towards = np.ceil if isinstance(limit, AtMost) else np.floor
    warn = float(towards(round(value * 10.0**digits, 6)) / 10.0**digits)
    return replace(limit, warn=round(warn, 10))


# --- the risk --------------------------------------------------------------------------------


def _with_risk(proposal: Proposal, pictures: Sequence[Seen], decided: Sequence[Seen]) -> Proposal:
    known = [seen for seen in decided if RISK in seen.measures]
    rejected = sum(seen.fate in NOT_GOOD for seen in known)
    approved = len(known) - rejected
    if len(known) < LEAST_DECISIONS or min(approved, rejected) < LEAST_OF_EACH:
        said = f"The risk was measured of {approved} approved and {rejected} rejected pictures: "
        return replace(proposal, kept=(*proposal.kept, f"{said}too few to read it another way."))
    shipped = np.array([log_odds(_shipped(seen)) for seen in known])
    bad = np.array([seen.fate in NOT_GOOD for seen in known], np.float64)
    risk = fitted(shipped, bad)
    if risk.slope < _LEAST_SLOPE:
        said = "People's decisions do not follow the risk: it is read as it was."
        return replace(proposal, kept=(*proposal.kept, said))
    before = np.array([_value(seen, RISK) for seen in known])
    brier = float(np.mean((before - bad) ** 2)), _brier_in_folds(shipped, bad)
    if brier[1] >= brier[0]:
        said = "Read another way, the risk would say no more of people's decisions: it stays."
        return replace(proposal, kept=(*proposal.kept, said))
    held = [seen for seen in pictures if _would_hold(seen, risk) is True]
    free = [seen for seen in known if _would_hold(seen, risk) is False]
    return replace(
        proposal,
        calibration=replace(proposal.calibration, risk=risk),
        risk=NewRisk(
            len(known),
            *brier,
            holds_more=sum(seen.fate is Fate.BY_ITSELF for seen in held),
            holds_less=sum(not seen.held_without(RISK) for seen in free),
        ),
    )


def fitted(shipped: Floats, bad: Floats) -> RiskMap:
    """Platt's map from the log odds of risks to how often pictures were rejected.

    By Newton's method; offset and slope are held near 0 and 1.

    Args:
        shipped: Log odds of the risks as they ship, (pictures,).
        bad: 1 where a person rejected the picture, else 0, (pictures,).
    """
    design = np.column_stack((np.ones(len(shipped)), shipped))
    start = np.array([0.0, 1.0])
    weights, step = start, 1.0

    def loss(at: Floats) -> float:
        odds, off = design @ at, at - start
        return float(np.sum(np.logaddexp(0, odds) - bad * odds) + off @ _PRIOR @ off / 2)

    for _ in range(100):
        risk = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (risk - bad) + _PRIOR @ (weights - start)
        curvature = (design.T * (risk * (1 - risk))) @ design + _PRIOR
        further = weights - step * np.linalg.solve(curvature, slope)
        if loss(further) <= loss(weights):
            weights, step = further, 1.0
        else:
            step /= 2
    return RiskMap(slope=round(float(weights[1]), 4), offset=round(float(weights[0]), 4))


def _brier_in_folds(shipped: Floats, bad: Floats, folds: int = 5) -> float:
    fold = np.arange(len(bad)) % folds
    errors = np.zeros(len(bad))
    for number in range(folds):
        out = fold == number
        risk = fitted(shipped[~out], bad[~out])
        said = 1 / (1 + np.exp(-np.clip(risk.slope * shipped[out] + risk.offset, -30, 30)))
        errors[out] = (said - bad[out]) ** 2
    return float(errors.mean())


def _shipped(seen: Seen) -> float:
    """The risk before a shop's own map of it."""
    return _value(seen, RISK_AS_SHIPPED if RISK_AS_SHIPPED in seen.measures else RISK)


def _would_hold(seen: Seen, risk: RiskMap) -> bool | None:
    """Whether the risk would hold a picture, read another way; ``None`` where it has no limit."""
    measure = seen.measures.get(RISK)
    limit = None if measure is None else Limit.read(measure.limit)
    if limit is None:
        return None
    return type(limit).beyond(risk(_shipped(seen)), limit.warn)
