"""What quality checks say of a picture: numbers, each with its limit and its verdict.

A few checks with many numbers each: every evaluation costs Dagster two events. A check that fails
stops the photo before anything more is paid; one that warns sends the picture to a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from photopipe_dagster.core.photo import Stage


class Verdict(StrEnum):
    """How good a number is."""

    PASS = "pass"  # noqa: S105
    WARN = "warn"
    """A person should look before it is published."""
    FAIL = "fail"
    """Not to be published."""


_ORDER = (Verdict.PASS, Verdict.WARN, Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a check.

    Args:
        name: What was measured, such as ``halo``.
        value: The number; NumPy's become Python's, since Dagster and JSON write no others.
        verdict: How good it is.
        limit: What it should be, for a person, such as ``≤ 8``; empty where nothing is asked.
        advice: What to do where the verdict is not PASS.
        box: Where in the photo it is seen: left, top, right and bottom, shares of the photo's
            width and height; ``None`` where it has no place.
    """

    name: str
    value: float | int | str | bool
    verdict: Verdict = Verdict.PASS
    limit: str = ""
    advice: str = ""
    box: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _plain(self.value))

    def __str__(self) -> str:
        shown = f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)
        asked = f" (should be {self.limit})" if self.limit else ""
        return f"{self.name} is {shown}{asked}." + (f" {self.advice}" if self.advice else "")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found in the picture of a stage.

    Args:
        name: The check's name, as Dagster's asset check has it.
        stage: Whose picture was looked at.
        measures: Its numbers.
    """

    name: str
    stage: Stage
    measures: tuple[Measure, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its measures."""
        return max((each.verdict for each in self.measures), key=_ORDER.index, default=Verdict.PASS)

    def at(self, verdict: Verdict) -> tuple[Measure, ...]:
        """The measures of that verdict."""
        return tuple(each for each in self.measures if each.verdict is verdict)

    def as_record(self) -> dict[str, Any]:
        """As JSON, for the ledger."""
        return {
            "name": self.name,
            "measures": [
                {
                    "name": each.name,
                    "value": each.value,
                    "verdict": each.verdict.value,
                    "limit": each.limit,
                    "advice": each.advice,
                    **({} if each.box is None else {"box": [round(side, 4) for side in each.box]}),
                }
                for each in self.measures
            ],
        }

    @classmethod
    def of_record(cls, stage: Stage, record: Mapping[str, Any]) -> Self:
        """Read back what `as_record` made."""
        return cls(
            record["name"],
            stage,
            tuple(_measure_of(each) for each in record["measures"]),
        )


def as_record(checks: Iterable[CheckResult]) -> list[dict[str, Any]]:
    """The checks of one stage as JSON, for the ledger."""
    return [check.as_record() for check in checks]


def from_record(quality: Mapping[str, Any] | None) -> tuple[CheckResult, ...]:
    """The checks of a job, in the order of stages, from what the ledger keeps by stage."""
    return tuple(
        CheckResult.of_record(stage, record)
        for stage in Stage
        for record in (quality or {}).get(stage.value, ())
    )


def measures_at(checks: Iterable[CheckResult], verdict: Verdict) -> tuple[Measure, ...]:
    """All measures of that verdict."""
    return tuple(measure for check in checks for measure in check.at(verdict))


def _measure_of(record: Mapping[str, Any]) -> Measure:
    known = {**record, "verdict": Verdict(record["verdict"])}
    if known.get("box") is not None:
        known["box"] = tuple(known["box"])
    return Measure(**known)


def _plain(value: Any) -> float | int | str | bool:
    """The same value, of a type of Python's itself and none derived from it.

    Raises:
        TypeError: It is no number and no text.
    """
    if hasattr(value, "item"):  # a scalar of NumPy's, some of which are floats and yet not plain
        value = value.item()
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"a measure is a number or a text, not {type(value).__name__}")
