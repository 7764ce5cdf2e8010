"""Scenes as people bring and change them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.scene_view import SceneView
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.scenes import add_scene, change_scene, changed, read_said
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.signing import UrlSigner
from photopipe_dagster_tests.support.ledgers import new_ledger

VIEW = SceneView(3000, 2000, 0.75)


def test_what_people_say_is_read():
    said = read_said(["ground=0.8", "stand=0.2,0.8", "azimuth=60", "plain=1"])
    view = changed(VIEW, said)
    assert (view.ground, view.stand) == (0.8, (0.2, 0.8))
    assert (view.light.azimuth_degrees, view.light.plain) == (60, True)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("ground", "ground"),
        ("ground=high", "ground=high"),
        ("colour=3", "colour"),
        ("ground=3", "ground"),
        ("azimuth=400", "azimuth"),
        ("elevation=2", "elevation"),
        ("stand=0.5", "scene cannot be so"),
    ],
)
def test_what_cannot_be_is_named(text: str, named: str):
    with pytest.raises(PhotoRejectedError, match=named):
        changed(VIEW, read_said([text]))


def test_what_a_person_says_is_no_estimate(tmp_path: Path):
    ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}")
    store = LocalStore(tmp_path / "objects", "http://localhost", UrlSigner(b"k" * 32))
    picture = encode_jpeg(np.random.default_rng(1).integers(0, 255, (700, 900, 3), np.uint8))
    added = add_scene(ledger, store, "table", picture, by="Ann", said={"ground": 0.8})
    assert added.view.ground == 0.8
    assert "ground" not in added.picture.confidence
    assert "azimuth" in added.picture.confidence
    stored = store.get(added.object_key)
    assert stored is not None
    assert stored.data == picture
    edited = change_scene(ledger, "table", 1, {"azimuth": 60.0}, by="Bea")
    assert (edited.revision, edited.view.light.azimuth_degrees) == (2, 60)
    assert "azimuth" not in edited.picture.confidence
    assert edited.object_key == added.object_key
