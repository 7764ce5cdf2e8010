"""A marketplace's preset through the whole pipeline: white, free, described and signed."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.imaging.provenance import SourceType
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.pipeline.stages import composite
from photopipe_dagster.pipeline.stages.composite import composite_recipe, source_type
from photopipe_dagster.storage.pictures import BackgroundFacts
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

AI_MADE = b"digitalsourcetype/compositeSynthetic<"
NOT_AI_MADE = b"digitalsourcetype/composite<"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch, QUALITY_GATES="off") as shop:
        yield shop


def composite_of(shop: World, key: PhotoKey):
    stored = shop.store.get(key.object_key(Stage.COMPOSITE))
    assert stored is not None
    return stored


def test_a_preset_is_white_free_and_checked(shop: World):
    shop.stock("LAMP")
    data = photo_of_a_mug(3)
    scene, amazon = (shop.announce("LAMP", data, theme) for theme in ("kitchen", "amazon-main"))
    assert shop.materialize([scene, amazon]).success
    for key in (scene, amazon):
        assert shop.ledger.jobs.require(key.job_id).status is JobStatus.DONE
    # One cut-out and one scene were bought; the white ground was not.
    assert sorted(charge.operation for charge in shop.charges()).count("remove_background") == 1
    assert len(shop.charges()) == 2
    assert shop.ledger.spending.total() == Decimal("0.07")
    background = shop.store.get(amazon.object_key(Stage.BACKGROUND))
    assert background is not None
    assert background.info.metadata["provider"] == "white"
    assert (np.asarray(Image.open(io.BytesIO(background.data))) == 255).all()

    stored = composite_of(shop, amazon)
    picture = np.asarray(Image.open(io.BytesIO(stored.data)))
    assert picture.shape == (1600, 1600, 3)
    assert (picture[:8] == 255).all()
    assert (picture[:, -8:] == 255).all()
    facts = stored.info.metadata
    assert float(facts["frame_share"]) >= 0.85
    assert float(facts["white"]) == 1
    assert float(facts["scale"]) > 1.25  # a small photo was enlarged, and that is told
    assert (facts["width"], facts["height"], facts["srgb"]) == ("1600", "1600", "True")
    assert float(facts["delta_e_median"]) <= 1
    assert float(facts["delta_e_p99"]) <= 4
    assert NOT_AI_MADE in stored.data
    assert AI_MADE in composite_of(shop, scene).data


@pytest.mark.parametrize(
    ("maker", "source"),
    [
        ({"provider": "freepik"}, SourceType.AI_BACKGROUND),
        ({"provider": "local"}, SourceType.COMPOSITE),
        ({"provider": "white"}, SourceType.COMPOSITE),
        ({}, SourceType.AI_BACKGROUND),  # made outside: a provider that keeps quiet is not believed
    ],
)
def test_the_source_is_told_by_who_made_the_background(maker: dict[str, str], source: SourceType):
    facts = BackgroundFacts.from_metadata({"width": "1", "height": "1", **maker})
    assert source_type(facts) is source


def test_the_shop_s_visitors_are_told_what_is_shown(shop: World):
    shop.sandbox.state.shopify.add_product("Brass table lamp", skus=["LAMP"])
    key = shop.announce("LAMP", photo_of_a_mug(4), "kitchen")
    assert shop.materialize([key]).success
    (file,) = shop.sandbox.state.shopify.files.values()
    assert file.alt == "Brass table lamp on a marble kitchen counter"


def test_another_description_is_no_reason_to_publish_again(
    shop: World, monkeypatch: pytest.MonkeyPatch
):
    shop.stock("LAMP")
    key = shop.announce("LAMP", photo_of_a_mug(5), "kitchen")
    assert shop.materialize([key]).success
    (before,) = shop.sandbox.state.shopify.files
    monkeypatch.setitem(THEMES, "kitchen", replace(THEMES["kitchen"], alt="in a kitchen"))
    assert shop.materialize([key]).success
    assert list(shop.sandbox.state.shopify.files) == [before]


def test_what_a_theme_decides_is_part_of_the_recipe(monkeypatch: pytest.MonkeyPatch):
    inputs = {"mask": "m", "background": "b"}
    look, source = THEMES["kitchen"], SourceType.COMPOSITE
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"placement": THEMES["google"].placement},
        {"tone_match": not look.tone_match},
        {"light": None},
        {"canvas": "4:5"},
        {"rules": THEMES["google"].rules},
    )
    recipes = [composite_recipe(replace(look, **change), source, inputs) for change in changes]
    recipes.append(composite_recipe(look, SourceType.AI_BACKGROUND, inputs))
    recipes.append(composite_recipe(look, source, {**inputs, "mask": "other"}))
    recipes.append(composite_recipe(look, source, inputs, lies=True))
    monkeypatch.setattr(composite, "PROVENANCE_VERSION", 99)
    recipes.append(composite_recipe(look, source, inputs))
    assert len(set(recipes)) == len(recipes) == 10
    monkeypatch.undo()
    described = replace(look, alt="in a kitchen", prompt="A kitchen.")
    assert composite_recipe(described, source, inputs) == recipes[0]
