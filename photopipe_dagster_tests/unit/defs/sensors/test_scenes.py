"""Dagster is told of approved scenes."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from photopipe_dagster.definitions import defs
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.scenes import scenes_sensor
from photopipe_dagster.imaging.scene_view import SceneView
from photopipe_dagster.ledger.scenes import ScenePicture, SceneState
from photopipe_dagster_tests.support.ledgers import new_ledger


def test_each_approval_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTOPIPE_ENV", "development")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    new_ledger(tmp_path)
    photopipe = PhotopipeResource()
    scenes = photopipe.ledger.scenes
    picture = ScenePicture("a" * 64, "image/jpeg", SceneView(3000, 2000, 0.75))
    scenes.add("table", picture, by="Ann")

    def tick(cursor: str | None) -> object:
        context = dg.build_sensor_context(cursor=cursor, resources={"photopipe": photopipe})
        return scenes_sensor(context)

    assert isinstance(tick(None), dg.SkipReason)
    scenes.decide("table", SceneState.APPROVED, by="Bea")
    told = tick(None)
    assert isinstance(told, dg.SensorResult)
    [event] = told.asset_events
    assert (event.partition, event.metadata["revision"].value) == ("table", 1)
    assert list(told.dynamic_partitions_requests[0].partition_keys) == ["table"]
    assert isinstance(tick(told.cursor), dg.SkipReason)


def test_scenes_are_upstream_of_backgrounds():
    graph = defs.resolve_asset_graph()
    assert dg.AssetKey("scene") in graph.get(dg.AssetKey("background")).parent_keys
