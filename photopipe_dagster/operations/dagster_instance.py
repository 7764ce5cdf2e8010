"""Which Dagster this process belongs to."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg


def dagster_instance(data_dir: Path | None = None) -> dg.DagsterInstance | None:
    """The instance of DAGSTER_HOME; ``None`` if there is none.

    Args:
        data_dir: Where `make dev` keeps an instance that is taken where DAGSTER_HOME is not set.
    """
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    home = None if data_dir is None else data_dir / "dagster"
    if home is not None and (home / "dagster.yaml").is_file():
        return dg.DagsterInstance.from_config(str(home.resolve()))
    return None
