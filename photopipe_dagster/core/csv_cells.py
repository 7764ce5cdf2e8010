"""Cells of CSV files that people open in a spreadsheet."""

from __future__ import annotations

from typing import Final, TypeVar

_BEGINS_A_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")  # spreadsheets take both widths

Cell = TypeVar("Cell")


def harmless(cell: Cell) -> Cell | str:
    """A cell that no spreadsheet calculates: a text that begins like a formula gets an apostrophe.

    Anyone who announces a photo chooses its SKU, and `=HYPERLINK(…)` is a SKU. Numbers stay as they
    are.
    """
    if isinstance(cell, str) and cell.startswith(_BEGINS_A_FORMULA):
        return f"'{cell}"
    return cell


def as_written(cell: str) -> str:
    """A cell without the apostrophe that `harmless` gave it."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_BEGINS_A_FORMULA) else cell
