"""Which Dagster this process belongs to, and telling it what was made outside of its runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from photopipe_dagster.core.dagster_names import PARTITIONS
from photopipe_dagster.core.photo import PhotoKey, Stage


def dagster_instance(data_dir: Path | None = None) -> dg.DagsterInstance | None:
    """The instance of DAGSTER_HOME; ``None`` if there is none.

    Args:
        data_dir: Where `make dev` keeps an instance that is taken where DAGSTER_HOME is not set.
    """
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    home = None if data_dir is None else data_dir / "dagster"
    if home is not None and (home / "dagster.yaml").is_file():
        os.environ["DAGSTER_HOME"] = str(home.resolve())  # dagster.yaml refers to it
        return dg.DagsterInstance.get()
    return None


def report_made(
    instance: dg.DagsterInstance, key: PhotoKey, stage: Stage, why: str, facts: Mapping[str, Any]
) -> None:
    """Show a stage of a photo as materialized, without a run.

    Args:
        why: Who made it, or why no run tells of it, for people.
        facts: More of its metadata.
    """
    if not instance.has_dynamic_partition(PARTITIONS, key.partition_key):
        instance.add_dynamic_partitions(PARTITIONS, [key.partition_key])
    metadata = {"job": key.job_id, "sku": key.sku, "theme": key.theme, **facts}
    made = dg.AssetMaterialization(stage.value, why, metadata, partition=key.partition_key)
    instance.report_runless_asset_event(made)
