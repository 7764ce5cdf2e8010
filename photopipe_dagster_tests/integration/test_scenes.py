"""One scene for a whole collection: what is bought, what is made, and that it looks alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import cv2
import numpy as np
import pytest

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.costs.savings import savings
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.placement import Placement, Scale
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.scenes import SceneState
from photopipe_dagster.operations.scenes import add_scene, change_scene
from photopipe_dagster.pipeline.scenes import SceneWish, make_scenes
from photopipe_dagster.runtime.services import open_services
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.storage.pictures import BackgroundFacts, CompositeFacts, find_picture
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.world import SECRET, World, photo_of_a_mug, world

THEME = "collection"
SKUS = ("A", "B", "C")
CUTOUT, SCENE = Decimal("0.02"), Decimal("0.05")


def table(width: int = 900, height: int = 720) -> bytes:
    """A table before a wall, lit from the left."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    light = np.where(rows < 0.6 * height, 150, 205) - 40 * columns / width
    noise = np.random.default_rng(1).normal(0, 2, (height, width))
    grey = np.clip(light + noise, 0, 255).astype(np.uint8)
    return encode_jpeg(np.dstack((grey, grey, grey)), quality=98, full_colour=True)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    theme = replace(
        THEMES["kitchen"],
        name=THEME,
        scenes=("table",),
        canvas="480x480",
        scale=Scale.OPTICAL,
        placement=Placement(max_scale=8),
    )
    monkeypatch.setitem(THEMES, THEME, theme)
    large = SandboxConfig(webhook_secret=SECRET, mystic_scale=0.4)
    with world(tmp_path, monkeypatch, config=large, QUALITY_GATES="off") as shop:
        shop.stock(*SKUS)
        yield shop


async def bought(shop: World, count: int) -> list[str]:
    async with open_services(shop.settings) as services:
        wish = SceneWish("table", THEMES["kitchen"], 2048, 2048, count)
        made = make_scenes(services, wish, by="me", owner="me")
        return [scene.label async for scene in made]


def announced(shop: World) -> list[PhotoKey]:
    return [shop.announce(sku, photo_of_a_mug(n), THEME) for n, sku in enumerate(SKUS)]


def composite(shop: World, key: PhotoKey) -> tuple[np.ndarray, CompositeFacts]:
    found = find_picture(shop.store, key.object_key(Stage.COMPOSITE), CompositeFacts)
    assert found is not None
    return decode_rgb(shop.store.get(str(found.key)).data), found.facts


def test_a_collection_stands_in_one_scene_pays_for_cutouts_alone_and_follows_its_light(shop: World):
    keys = announced(shop)
    shop.materialize(keys)
    failed = [shop.ledger.jobs.require(key.job_id) for key in keys]
    assert {job.error_code for job in failed} == {"BACKGROUND_ERROR"}
    assert "photopipe scene approve table" in failed[0].error_message

    assert asyncio.run(bought(shop, 2)) == ["table@1", "table@2"]
    scene = add_scene(shop.ledger, shop.store, "table", table(), by="me", approve=True)
    for job in failed:
        shop.ledger.transitions.retry(job.id)
    shop.materialize(keys)
    jobs = [shop.ledger.jobs.require(key.job_id) for key in keys]
    assert {job.status for job in jobs} == {JobStatus.DONE}, jobs[0].reason
    # To the cent: 0.02 a cut-out, 0.05 a scene. For 1,000 products it is 0.0201 a picture.
    spent = {each["theme"]: each["amount"] for each in shop.ledger.spending.by("theme")}
    assert spent == {THEME: len(SKUS) * CUTOUT, "scene": 2 * SCENE}
    assert Decimal("0.0215") >= (1000 * CUTOUT + 2 * SCENE) / 1000
    saved = savings(shop.settings, shop.ledger)
    assert (saved.pictures, saved.total) == (len(SKUS), len(SKUS) * SCENE - 2 * SCENE)
    charges = [charge.operation for charge in shop.sandbox.state.freepik.charges]
    assert len(charges) == len(SKUS) + 2

    backgrounds = [
        find_picture(shop.store, key.object_key(Stage.BACKGROUND), BackgroundFacts) for key in keys
    ]
    assert {each.facts.scene for each in backgrounds} == {scene.label}
    assert len({each.digest for each in backgrounds}) == 1
    pictures, facts = zip(*(composite(shop, key) for key in keys), strict=True)
    line = scene.view.stand_in(480, 480).ground
    assert all(abs(each.ground - line) < 0.005 for each in facts)
    assert {each.shadow for each in facts} == {scene.view.light.azimuth_degrees}
    sizes = np.array([each.optical for each in facts])
    assert sizes.std() / sizes.mean() < 0.08
    corners = [picture[:100, :100] for picture in pictures]
    assert all(np.array_equal(corners[0], each) for each in corners)

    changed = change_scene(shop.ledger, "table", 3, {"azimuth": 60.0}, by="me")
    shop.ledger.scenes.decide("table", SceneState.APPROVED, by="me", revision=changed.revision)
    shop.materialize(keys[:1])
    after, facts = composite(shop, keys[0])
    assert shop.ledger.spending.total() == len(SKUS) * CUTOUT + 2 * SCENE
    assert (facts.shadow, facts.scene) == (60, "table@4")
    assert cv2.absdiff(pictures[0], after).max() > 20
