"""How a report is stored: CSV for people and spreadsheets, Parquet from which it is loaded exactly.

Parquet keeps what CSV forgets: types, times with their zones, and money as decimals, never as a
float.
"""

from __future__ import annotations

import io
from typing import Final

import pandas as pd

CSV: Final = "text/csv; charset=utf-8"
PARQUET: Final = "application/vnd.apache.parquet"


def to_csv(report: pd.DataFrame) -> bytes:
    """The rows with a header, UTF-8, without the index."""
    return report.to_csv(index=False).encode()


def to_parquet(report: pd.DataFrame) -> bytes:
    """The columns with their types, without the index."""
    data = io.BytesIO()
    report.to_parquet(data, engine="pyarrow", index=False)
    return data.getvalue()


def from_parquet(data: bytes) -> pd.DataFrame:
    """What `to_parquet` was given."""
    return pd.read_parquet(io.BytesIO(data), engine="pyarrow")
