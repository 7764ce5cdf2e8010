"""Stage *composite*: the product, lit by the scene's shadow, on its background."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.recipe import outside_recipe, recipe
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.finishing import Finished, finish
from photopipe_dagster.imaging.placement import Canvas
from photopipe_dagster.imaging.provenance import PROVENANCE_VERSION, SourceType, xmp_packet
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.pipeline.stages import pictures
from photopipe_dagster.pipeline.stages.quality import picture_checks
from photopipe_dagster.pipeline.work import StageOutcome, Work
from photopipe_dagster.publishing.flat_lay import Lying, lying
from photopipe_dagster.publishing.product_lookup import remembered_product
from photopipe_dagster.storage.pictures import StoredPicture
from photopipe_dagster.themes.model import Theme

_WITHOUT_A_GENERATIVE_MODEL: Final = frozenset({"local", "white"})
"""Providers of backgrounds; whoever else made one, it is called a generative model's."""


async def composite(work: Work) -> StageOutcome:
    """Put the cut-out on its background, unless the same two were put together before.

    Raises:
        CompositeError: The pictures do not go together, or break a marketplace's rules.
    """
    mask = await pictures.require(work, Stage.MASK)
    background = await pictures.require(work, Stage.BACKGROUND)
    look, source = work.services.themes.get(work.key.theme), source_type(background)
    inputs = {"mask": mask.digest, "background": background.digest}
    lying_down = await _lying(work)
    lies = lying_down is not None
    made_by = composite_recipe(look, source, inputs, lies=lies)
    from_outside = outside_recipe(Stage.COMPOSITE, inputs)
    stored = await pictures.find(work, Stage.COMPOSITE, made_by, from_outside)
    reused = stored is not None
    if stored is None:
        async with work.services.pictures:
            made = await _compose(work, look, source, lies=lies)
        work.composite = made.composite.jpeg
        stored = await pictures.keep(
            work,
            Stage.COMPOSITE,
            made.composite.jpeg,
            content_type="image/jpeg",
            recipe=made_by,
            facts={**_measured(made, lies=lies), "digital_source_type": source},
        )
    else:
        work.composite = await pictures.read(work, Stage.COMPOSITE)
    work.cutout = work.background = None  # the shop gets the composite alone
    async with work.services.pictures:
        thumbnail = await asyncio.to_thread(thumbnail_data_uri, work.composite, side=256)
    return StageOutcome(
        object_key=stored.key,
        recipe=stored.recipe,
        digest=stored.digest,
        reused=reused,
        facts={**stored.facts, "theme": work.key.theme, "bytes": len(work.composite)}
        | ({} if lying_down is None else {"lies": lying_down.why}),
        thumbnail=thumbnail,
        checks=await picture_checks(work, stored, background, lying_down),
    )


async def _lying(work: Work) -> Lying | None:
    """Whether the product lies, by what is known of it: nobody is asked for that alone."""
    sku = work.key.sku
    known = work.product or await remembered_product(work.services, sku)
    return lying(work.services.settings, sku, known)


def composite_recipe(
    look: Theme, source: SourceType, inputs: Mapping[str, str], *, lies: bool = False
) -> str:
    """Digest of all that decides how a composite looks and what it says of itself.

    A theme's prompt is not among it: it decides the background.

    Args:
        inputs: Digests of the mask and the background.
        lies: Whether the product is known to lie in its photo; whoever has said so, it is one
            picture.
    """
    parameters = {
        "light": look.light,
        "placement": look.placement,
        "canvas": look.canvas,
        "tone_match": look.tone_match,
        "rules": look.rules,
        "provenance": PROVENANCE_VERSION,
        "source": source,
        "lies": lies,
    }
    return recipe(Stage.COMPOSITE, parameters, inputs)


def source_type(background: StoredPicture) -> SourceType:
    """What a composite on that background says of its own origin."""
    made_without = background.facts.get("provider") in _WITHOUT_A_GENERATIVE_MODEL
    return SourceType.COMPOSITE if made_without else SourceType.AI_BACKGROUND


def _measured(made: Finished, *, lies: bool) -> dict[str, object]:
    """The numbers that are kept with a composite."""
    picture, fidelity, final = made.composite, made.fidelity, made.final
    facts: dict[str, object] = {
        "width": final.width,
        "height": final.height,
        "srgb": final.srgb,
        "coverage": f"{picture.coverage:.4f}",
        "box": " ".join(str(side) for side in picture.box),
        "frame_share": f"{final.frame_share:.4f}",
        "scale": f"{picture.scale:.4f}",
        "pose": picture.pose,
        "jpeg": f"q{picture.quality} {'4:4:4' if picture.full_colour else '4:2:0'}",
        "delta_e_median": fidelity.median,
        "delta_e_p99": fidelity.p99,
        "structure": fidelity.structure,
        "edges": fidelity.edges,
    }
    if picture.firmness is not None and not lies:  # known to lie: its outline says nothing more
        facts["firmness"] = f"{picture.firmness:.3f}"
        facts["steepness"] = f"{picture.steepness or 0:.1f}"
    if final.white is not None:
        facts["white"] = f"{final.white:.6f}"
    return facts


async def _compose(work: Work, look: Theme, source: SourceType, *, lies: bool) -> Finished:
    if work.cutout is None:
        png = await pictures.read(work, Stage.MASK)
        work.cutout = await asyncio.to_thread(CutoutPicture.from_png, png)
    if work.background is None:
        work.background = await pictures.read(work, Stage.BACKGROUND)
    return await asyncio.to_thread(
        finish,
        work.cutout,
        work.background,
        light=look.light,
        placement=look.placement,
        canvas=Canvas.parse(look.canvas),
        tone_match=look.tone_match,
        lies=lies,
        rules=look.rules,
        xmp=xmp_packet(source, f"{work.key.sku}, {look.name}"),
    )
