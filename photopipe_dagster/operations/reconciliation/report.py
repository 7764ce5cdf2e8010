"""What a reconciliation found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from photopipe_dagster.operations.reconciliation.findings import Discrepancy, DiscrepancyKind

_SHOWN: Final = 50
"""Discrepancies of one kind that people are shown."""


@dataclass(frozen=True, slots=True)
class NotCompared:
    """A truth that the ledger was not compared with.

    Args:
        failed: Whether it should have been, and did not answer; else there is none here.
    """

    part: str
    why: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found.

    Args:
        too_young: Photos that were published too lately to be judged.
    """

    findings: tuple[Discrepancy, ...]
    not_compared: tuple[NotCompared, ...] = ()
    too_young: int = 0

    @property
    def needs_person(self) -> bool:
        """Whether somebody has to do something."""
        return any(finding.needs_person for finding in self.findings) or any(
            part.failed for part in self.not_compared
        )

    @property
    def repaired(self) -> int:
        """How many findings were repaired."""
        return sum(finding.repaired for finding in self.findings)

    def counts(self) -> Mapping[DiscrepancyKind, int]:
        """How many of each kind that was found."""
        counted = Counter(finding.kind for finding in self.findings)
        return {kind: counted[kind] for kind in DiscrepancyKind if counted[kind]}

    def shown(self) -> Iterator[Discrepancy]:
        """The first of each kind, kind by kind."""
        for kind in self.counts():
            of_kind = [finding for finding in self.findings if finding.kind is kind]
            yield from of_kind[:_SHOWN]

    def summary(self) -> str:
        """In a line."""
        counts = ", ".join(f"{count} {kind}" for kind, count in self.counts().items())
        nothing = "nothing is amiss" + (" in what was compared" if self.not_compared else "")
        parts = [counts or nothing]
        if self.repaired:
            parts.append(f"{self.repaired} repaired")
        if self.too_young:
            parts.append(
                f"{self.too_young} published too lately to be judged (RECONCILE_AFTER_SECONDS)"
            )
        parts += [
            f"not compared with {part.part}: {part.why.rstrip('.')}" for part in self.not_compared
        ]
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "needsPerson": self.needs_person,
            "counts": self.counts(),
            "repaired": self.repaired,
            "tooYoung": self.too_young,
            "notCompared": [
                {"part": part.part, "why": part.why, "failed": part.failed}
                for part in self.not_compared
            ],
            "findings": [
                {
                    "kind": finding.kind,
                    "subject": finding.subject,
                    "what": finding.what,
                    "since": None if finding.since is None else finding.since.isoformat(),
                    "remedy": finding.remedy,
                    "repairable": finding.repairable,
                    "repaired": finding.repaired,
                    "needsPerson": finding.needs_person,
                }
                for finding in self.findings
            ],
        }

    def print(self, console: Console) -> None:
        """Everything that people want to see."""
        table = Table("What", "Since (UTC)", "What to do", title="Reconciliation", show_lines=True)
        for finding in self.shown():
            since = "" if finding.since is None else f"{finding.since:%Y-%m-%d %H:%M}"
            done = "Repaired." if finding.repaired else finding.remedy
            table.add_row(f"{finding.kind}: {finding.what}", since, done)
        if self.findings:
            console.print(table)
        for kind, count in self.counts().items():
            if count > _SHOWN:
                console.print(f"… and {count - _SHOWN} more: {kind} (`--json` has all)")
        console.print(f"{self.summary()[:1].upper()}{self.summary()[1:]}.")
