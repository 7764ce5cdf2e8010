"""Ledgers that are quickly made."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from photopipe_dagster.ledger import Ledger


@cache
def _migrated() -> bytes:
    """A ledger's file with its schema: making one takes longer than most tests."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "photopipe.db"
        ledger = Ledger(f"sqlite:///{path}")
        ledger.database.migrate()
        ledger.close()
        return path.read_bytes()


def new_ledger(folder: Path) -> Path:
    """A ledger in a folder, where `Settings.ledger_url` has it; empty, if it was not there yet."""
    path = folder / "photopipe.db"
    if not path.exists():
        path.write_bytes(_migrated())
    return path
