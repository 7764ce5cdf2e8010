"""Stage *composite*: the product, lit by the scene's shadow, on its background."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from photopipe_dagster.assets import pictures
from photopipe_dagster.imaging.composite import Composite, CutoutPicture, compose
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.photo import Stage
from photopipe_dagster.pipeline import StageOutcome, Work
from photopipe_dagster.recipe import recipe
from photopipe_dagster.themes import theme


async def composite(work: Work) -> StageOutcome:
    """Put the cut-out on its background, unless the same two were put together before.

    Raises:
        CompositeError: The pictures do not go together.
    """
    mask = await pictures.require(work, Stage.MASK)
    background = await pictures.require(work, Stage.BACKGROUND)
    light = theme(work.key.theme).light
    made_by = recipe(
        Stage.COMPOSITE,
        {f"light.{name}": value for name, value in asdict(light).items()},
        {"mask": mask.digest, "background": background.digest},
    )
    stored = await pictures.find(work, Stage.COMPOSITE, made_by)
    reused = stored is not None
    if stored is None:
        async with work.services.pictures:
            made = await _compose(work)
        work.composite = made.jpeg
        stored = await pictures.keep(
            work,
            Stage.COMPOSITE,
            made.jpeg,
            content_type="image/jpeg",
            recipe=made_by,
            facts={"width": made.width, "height": made.height, "coverage": f"{made.coverage:.4f}"},
        )
    else:
        work.composite = await pictures.read(work, Stage.COMPOSITE)
    work.cutout = None  # the largest thing in memory, and not needed any more
    async with work.services.pictures:
        thumbnail = await asyncio.to_thread(thumbnail_data_uri, work.composite, side=256)
    return StageOutcome(
        object_key=stored.key,
        recipe=made_by,
        digest=stored.digest,
        reused=reused,
        facts={**stored.facts, "theme": work.key.theme, "bytes": len(work.composite)},
        thumbnail=thumbnail,
    )


async def _compose(work: Work) -> Composite:
    if work.cutout is None:
        png = await pictures.read(work, Stage.MASK)
        work.cutout = await asyncio.to_thread(CutoutPicture.from_png, png)
    if work.background is None:
        work.background = await pictures.read(work, Stage.BACKGROUND)
    light = theme(work.key.theme).light
    return await asyncio.to_thread(compose, work.cutout, work.background, light=light)
