"""White backgrounds are white, free, and made without the provider of scenes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.estimate import Candidate, Estimator
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.pipeline.purchase_keys import background_purchase, background_request
from photopipe_dagster.providers.white.provider import WhiteProvider
from photopipe_dagster.runtime.providers import Providers
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.registry import ThemeRegistry


class Nobody:
    """A purchase that must not be made."""

    reference = None

    async def submitted(self, reference: str) -> None:
        raise AssertionError("nothing is bought")


@pytest.mark.parametrize("name", [name for name in THEMES if THEMES[name].background == "white"])
async def test_a_white_background_has_the_canvas_s_size(name: str) -> None:
    key = PhotoKey("SKU-1", "b" * 64, name)
    request = background_request(THEMES[key.theme], key, (600, 400))
    made = await WhiteProvider().generate_background(request, Nobody())
    rgb = decode_rgb(made.data)
    assert f"{rgb.shape[1]}x{rgb.shape[0]}" == THEMES[name].canvas
    assert (rgb == 255).all()
    assert made.content_type == "image/jpeg"
    assert len(made.data) < 100_000
    assert WhiteProvider().background_price(request) == 0


def test_the_recipe_knows_who_made_it_and_how_large() -> None:
    key = PhotoKey("SKU-1", "b" * 64, "amazon-main")
    small, large = (
        background_request(THEMES[key.theme], key, size) for size in ((600, 400), (4000, 4000))
    )
    assert small == large  # the canvas is the theme's, whatever the photo
    recipes = set()
    for name in ("amazon-main", "google", "shopify-square"):
        key = PhotoKey("SKU-1", "b" * 64, name)
        request = background_request(THEMES[key.theme], key, (600, 400))
        recipes.add(background_purchase(key, WhiteProvider(), request)[0])
    assert len(recipes) == 3


def test_an_estimate_counts_nothing_for_white(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, data_dir=tmp_path, ai_provider="freepik", freepik_api_key="key"
    )
    providers = Providers(settings)
    ledger = Ledger.open(settings)
    store = object_store(settings)
    estimator = Estimator(
        ledger, store, ThemeRegistry(THEMES.values()), providers.cutouts, providers.backgrounds
    )
    scene, white = estimator.estimate(
        Candidate(PhotoKey(sku, "c" * 64, name), "c" * 64, (1000, 1000))
        for sku, name in (("A", "kitchen"), ("B", "google"))
    )
    assert scene.background > 0
    assert (white.cutout, white.background) == (scene.cutout, Decimal(0))
    ledger.close()
