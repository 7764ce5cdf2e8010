"""Which scene a product stands in, and its part of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photopipe_dagster.core.errors import ProviderError
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.scenes import SceneRevision
from photopipe_dagster.operations.scenes import add_scene
from photopipe_dagster.providers.base import BackgroundRequest, Unpaid
from photopipe_dagster.runtime.scenes import SceneBackgrounds, chosen_scene
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.signing import UrlSigner
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import SceneChoice, Theme
from photopipe_dagster_tests.support.ledgers import new_ledger

SAID = {"plinth": {"stand": (0.4, 0.6)}, "bench": {"stand": (0.0, 1.0)}}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "objects", "http://localhost", UrlSigner(b"k" * 32))


@pytest.fixture
def ledger(tmp_path: Path, store: LocalStore) -> Ledger:
    ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}")
    noise = np.random.default_rng(1).integers(90, 200, (700, 1000, 3), np.uint8)
    for name, said in SAID.items():
        picture = encode_jpeg(noise, quality=90)
        add_scene(ledger, store, name, picture, by="me", said=said, approve=True)
    return ledger


def theme(choice: SceneChoice, *scenes: str) -> Theme:
    return replace(THEMES["kitchen"], scenes=scenes or tuple(SAID), scene_choice=choice)


@pytest.mark.parametrize(
    ("choice", "shape", "name"),
    [
        (SceneChoice.FIXED, 3.0, "plinth"),
        (SceneChoice.SHAPE, 0.3, "plinth"),
        (SceneChoice.SHAPE, 3.0, "bench"),
        (SceneChoice.SHAPE, None, "plinth"),
    ],
)
def test_the_theme_says_how_a_scene_is_chosen(
    ledger: Ledger, choice: SceneChoice, shape: float | None, name: str
):
    found = chosen_scene(ledger.scenes, theme(choice), "SKU", shape=shape)
    assert found is not None
    assert found.name == name


def test_by_sku_a_new_scene_moves_no_product_between_the_others(ledger: Ledger):
    ledger.scenes.add("shelf", ledger.scenes.history("bench")[0].picture, by="me")
    ledger.scenes.decide("shelf", "approved", by="me")

    def of(sku: str, *names: str) -> str:
        found = chosen_scene(ledger.scenes, theme(SceneChoice.SKU, *names), sku)
        assert found is not None
        return found.name

    skus = [f"SKU-{number}" for number in range(30)]
    before = {sku: of(sku, *SAID) for sku in skus}
    after = {sku: of(sku, *SAID, "shelf") for sku in skus}
    assert len(Counter(after.values())) == 3
    assert all(after[sku] in (before[sku], "shelf") for sku in skus)


def test_a_theme_without_scenes_has_none(ledger: Ledger):
    assert chosen_scene(ledger.scenes, THEMES["kitchen"], "SKU") is None


def test_a_scene_that_nobody_approved_is_named(ledger: Ledger):
    with pytest.raises(ProviderError, match="photopipe scene approve attic"):
        chosen_scene(ledger.scenes, theme(SceneChoice.FIXED, "attic"), "SKU")


def crop(store: LocalStore, scene: SceneRevision | None, size: tuple[int, int]) -> bytes:
    made = SceneBackgrounds(lambda: store)
    request = BackgroundRequest(theme(SceneChoice.FIXED), *size, 0, scene)
    assert made.background_price(request) == 0
    return asyncio.run(made.generate_background(request, Unpaid())).data


def test_a_crop_has_the_canvas_and_is_the_same_each_time(ledger: Ledger, store: LocalStore):
    scene = ledger.scenes.approved("plinth")
    first = crop(store, scene, (400, 500))
    assert first == crop(store, scene, (400, 500))
    assert decode_rgb(first).shape == (500, 400, 3)


def test_a_canvas_larger_than_the_scene_and_a_lost_picture_are_said(
    ledger: Ledger, store: LocalStore
):
    scene = ledger.scenes.approved("plinth")
    assert scene is not None
    with pytest.raises(ProviderError, match="smaller than the canvas"):
        crop(store, scene, (2048, 2048))
    store.put(scene.object_key, b"other", content_type="image/jpeg")
    with pytest.raises(ProviderError, match="damaged"):
        crop(store, scene, (400, 400))
    store.delete(scene.object_key)
    with pytest.raises(ProviderError, match="has left"):
        crop(store, scene, (400, 400))
