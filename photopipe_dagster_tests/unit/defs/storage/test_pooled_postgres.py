"""Dagster's storage in Postgres keeps its connections for a while."""

import json
from pathlib import Path

import dagster as dg
import yaml
from sqlalchemy import event

DEPLOY = Path(__file__).resolve().parents[4] / "deploy"


def instance_of(folder: Path, url: str) -> dg.DagsterInstance:
    config = yaml.safe_load((DEPLOY / "dagster" / "dagster.yaml").read_text())
    storage = config["storage"]
    storage["custom"]["config"] = {"postgres_url": url}
    (folder / "dagster.yaml").write_text(json.dumps({"storage": storage}))
    return dg.DagsterInstance.from_config(str(folder))


def test_events_go_over_few_connections(tmp_path: Path, postgres_url: str):
    @dg.asset
    def picture() -> None: ...

    opened = []
    with instance_of(tmp_path, postgres_url) as instance:
        for part in (instance.event_log_storage, instance.run_storage):
            event.listen(part._engine, "connect", lambda *_: opened.append(1))  # type: ignore[attr-defined]
        for _ in range(5):
            assert dg.materialize([picture], instance=instance).success
        assert len(instance.get_runs()) == 5
        assert instance.get_latest_materialization_event(dg.AssetKey("picture")) is not None
    assert 0 < len(opened) <= 10


def test_tables_are_looked_for_once_a_process(tmp_path: Path, postgres_url: str):
    opened = []
    for _ in range(2):
        with instance_of(tmp_path, postgres_url) as instance:
            part = instance.schedule_storage
            event.listen(part._engine, "connect", lambda *_: opened.append(1))  # type: ignore[union-attr]
            assert list(instance.get_asset_keys()) == []
            for _ in range(5):
                assert list(instance.all_instigator_state()) == []
            looked_for = [each.should_autocreate_tables for each in (part, instance.run_storage)]  # type: ignore[union-attr]
    assert looked_for == [False, False]
    assert len(opened) == 2
