"""What is stored and paid for is found again: recipes and file names are what they always were.

`recipes.json` was written by the release before the rooms of this project were drawn again. A value
in it changes only together with `STAGE_VERSIONS`, a theme or a prompt: then every customer's
pictures are made, and bought, again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.recipe import recipe
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.placement import TWENTY_MEGAPIXELS, SizeLimit
from photopipe_dagster.imaging.provenance import SourceType
from photopipe_dagster.pipeline.purchase_keys import (
    background_purchase,
    background_request,
    mask_purchase,
)
from photopipe_dagster.pipeline.stages.composite import composite_recipe
from photopipe_dagster.publishing.filenames import media_filename
from photopipe_dagster.runtime.providers import Providers
from photopipe_dagster.themes.registry import ThemeRegistry

SKU = "MUG#1/a b"
SHA = "c0ffee" + "0" * 58


def recipes(folder: Path) -> Iterator[tuple[str, str]]:
    yield "original", recipe(Stage.ORIGINAL, {}, {"sha256": SHA})
    for name in ("local", "freepik"):
        settings = Settings(
            _env_file=None, ai_provider=name, freepik_api_key="key", data_dir=folder
        )
        providers = Providers(settings)
        themes = ThemeRegistry.from_settings(settings)
        key = PhotoKey(SKU, SHA, "default")
        yield f"mask {name}", mask_purchase(key, providers.cutouts, SHA)[0]
        for theme in themes:
            key = PhotoKey(SKU, SHA, theme.name)
            maker = providers.backgrounds(theme)
            for size, variant in (((3000, 4000), 1), ((6000, 5000), 2)):
                request = background_request(theme, key, size, variant)
                made_by, _ = background_purchase(key, maker, request, variant)
                yield f"background {name} {theme.name} {size[0]}", made_by
    inputs = {"mask": "a" * 64, "background": "b" * 64}
    for theme in themes:
        for source in SourceType:
            for lies in (False, True):
                made_by = composite_recipe(theme, source, inputs, lies=lies)
                yield f"composite {theme.name} {source.name} {lies}", made_by
    yield "shopify_media", recipe(Stage.SHOPIFY_MEDIA, {}, {"composite": "c" * 64})
    yield "filename", media_filename(SKU, SHA, "default", 2, "d" * 64)


def test_recipes_and_file_names_are_what_they_were(tmp_path: Path):
    expected = json.loads((Path(__file__).parent / "recipes.json").read_text())
    assert dict(recipes(tmp_path)) == expected


def test_another_limit_of_size_is_another_picture():
    theme = ThemeRegistry.from_settings(Settings(_env_file=None)).get("default")
    inputs = {"mask": "a" * 64, "background": "b" * 64}

    def made_by(limit: SizeLimit) -> str:
        return composite_recipe(theme, SourceType.COMPOSITE, inputs, limit=limit)

    smaller, smallest = SizeLimit(2048, 4_000_000), SizeLimit(1024, 1_000_000)
    assert len({made_by(limit) for limit in (TWENTY_MEGAPIXELS, smaller, smallest)}) == 3
