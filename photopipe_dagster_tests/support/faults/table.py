"""The fault matrix as data: `docs/fault-matrix.md` is the document and the expectation in one."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

MATRIX: Final = Path(__file__).parents[3] / "docs" / "fault-matrix.md"
_COLUMNS: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """What comes of one fault of one outside call.

    Args:
        call: The outside call.
        fault: What happens to it.
        once: What comes of the photo if it happens once.
        lasting: What comes of the photo while it goes on happening.
        sent: How often the request is sent in one try while it goes on.
        meanwhile: What the ledger has of the purchase while it goes on.
        paid: What the ledger has of the purchase when the photo is done, after the fault is over.
        says: What the message says, among other things, while it goes on.
    """

    call: str
    fault: str
    once: str
    lasting: str
    sent: str
    meanwhile: str
    paid: str
    says: str

    def __str__(self) -> str:
        return f"{self.call}: {self.fault}"

    @property
    def line(self) -> str:
        """The row as it stands in the document."""
        return f"| {' | '.join(astuple(self))} |"


def rows() -> tuple[Row, ...]:
    """The rows of the document."""
    lines = [line for line in MATRIX.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return tuple(Row(*row) for row in cells if row[0] != "outside call")
