"""Results of stages that make nothing, for tests of what runs the stages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.pipeline.photo import StageResult
from photopipe_dagster.runtime.picture_cache import PictureCache
from photopipe_dagster.storage.pictures import Artifact, Facts, PictureFacts, PublishedFacts
from photopipe_dagster.themes import builtin
from photopipe_dagster.themes.registry import ThemeRegistry

THEMES = ThemeRegistry(builtin.THEMES.values())
"""Those that ship."""


def result(
    key: PhotoKey, stage: Stage, *, cost: Decimal = Decimal(0), object_key: str | None = None
) -> StageResult[Any]:
    """What a stage returns of a photo: as stored, or as published where it is the last one."""
    facts: Facts
    if stage is Stage.SHOPIFY_MEDIA:
        object_key = None
        facts = PublishedFacts(
            product_id="p", media_id="m", filename="f.jpg", url="https://x.test/f.jpg"
        )
    else:
        facts = PictureFacts(width=1, height=1)
        object_key = object_key or key.object_key(stage)
    return StageResult(Artifact(object_key, "r", "d", facts), cost=cost)


def cache() -> PictureCache:
    """Room for a megabyte."""
    return PictureCache(1_000_000)
