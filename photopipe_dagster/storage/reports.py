"""How a report is stored: CSV for people and spreadsheets, JSON from which it is loaded exactly.

JSON keeps what CSV forgets: types, times with their zones, and money as decimal text, never as a
float.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pandas as pd

CSV: Final = "text/csv; charset=utf-8"
JSON: Final = "application/json"

_MONEY: Final = "decimal"


def to_csv(report: pd.DataFrame) -> bytes:
    """The rows with a header, UTF-8, without the index."""
    return report.to_csv(index=False).encode()


def to_json(report: pd.DataFrame) -> bytes:
    """The columns with their types, without the index; what JSON lacks is written as text."""
    columns = [
        {
            "name": str(name),
            "type": _MONEY if _is_money(column) else str(column.dtype),
            "values": [None if pd.isna(value) else value for value in column.tolist()],
        }
        for name, column in report.items()
    ]
    return json.dumps({"columns": columns}, default=str).encode()


def from_json(data: bytes) -> pd.DataFrame:
    """What `to_json` was given."""
    return pd.DataFrame({column["name"]: _column(column) for column in json.loads(data)["columns"]})


def _column(column: dict[str, Any]) -> pd.Series[Any]:
    values, kind = column["values"], column["type"]
    if kind == _MONEY:
        values, kind = [None if value is None else Decimal(value) for value in values], "object"
    series: pd.Series[Any] = pd.Series(values, dtype=kind)
    return series


def _is_money(column: pd.Series[Any]) -> bool:
    values = column.dropna()
    return len(values) > 0 and all(isinstance(value, Decimal) for value in values)
