"""Scenes in the ledger: immutable revisions, and which one counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from photopipe_dagster.core.errors import ConflictError, NotFoundError, PhotopipeError
from photopipe_dagster.imaging.scene_view import SceneView
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.scenes import ScenePicture, SceneState

PICTURE = ScenePicture("a" * 64, "image/jpeg", SceneView(3000, 2000, 0.75), {"ground": 0.5})


def moved(ground: float) -> ScenePicture:
    return replace(PICTURE, view=replace(PICTURE.view, ground=ground))


def test_the_newest_approved_revision_counts(ledger: Ledger):
    scenes = ledger.scenes
    first = scenes.add("table", PICTURE, by="Ann")
    assert (first.label, first.state) == ("table@1", SceneState.DRAFT)
    assert scenes.approved("table") is None
    scenes.decide("table", SceneState.APPROVED, by="Bea")
    scenes.add("table", moved(0.8), by="Ann")
    assert scenes.approved("table").revision == 1
    scenes.decide("table", SceneState.APPROVED, by="Bea")
    found = scenes.approved("table")
    assert (found.revision, found.view.ground, found.decided_by) == (2, 0.8, "Bea")
    scenes.decide("table", SceneState.ARCHIVED, by="Bea", revision=2)
    assert scenes.approved("table").picture == PICTURE
    scenes.decide("table", SceneState.ARCHIVED, by="Bea")
    assert scenes.approved("table") is None
    assert [each.revision for each in scenes.history("table")] == [2, 1]
    assert [each.label for each in scenes.newest()] == ["table@2"]


def test_the_same_again_is_the_same_revision(ledger: Ledger):
    first = ledger.scenes.add("table", PICTURE, by="Ann")
    assert ledger.scenes.add("table", PICTURE, by="Bea") == first


def test_who_began_with_an_earlier_revision_is_told(ledger: Ledger):
    ledger.scenes.add("table", PICTURE, by="Ann")
    ledger.scenes.add("table", moved(0.8), by="Bea", based_on=1)
    with pytest.raises(ConflictError, match="Bea has changed"):
        ledger.scenes.add("table", moved(0.7), by="Ann", based_on=1)
    assert len(ledger.scenes.history("table")) == 2


@pytest.mark.parametrize("name", ["", "../x", "Table", "a" * 65, "a/b"])
def test_names_are_plain(ledger: Ledger, name: str):
    with pytest.raises(PhotopipeError, match="name"):
        ledger.scenes.add(name, PICTURE, by="Ann")


def test_what_there_is_not_is_said(ledger: Ledger):
    with pytest.raises(NotFoundError):
        ledger.scenes.history("none")
    ledger.scenes.add("table", PICTURE, by="Ann")
    with pytest.raises(NotFoundError, match="table@7"):
        ledger.scenes.decide("table", SceneState.APPROVED, by="Ann", revision=7)
