"""Stage *composite*: the product, lit by the scene's shadow, on its background."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from photopipe_dagster.core.recipe import outside_recipe, recipe
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.imaging.composite import Pose, Scene
from photopipe_dagster.imaging.finishing import Finished, finish
from photopipe_dagster.imaging.placement import (
    TWENTY_MEGAPIXELS,
    Canvas,
    Scale,
    SizeLimit,
    Stand,
)
from photopipe_dagster.imaging.provenance import PROVENANCE_VERSION, SourceType, xmp_packet
from photopipe_dagster.imaging.scene_view import SceneView
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.ledger.product_sizes import ProductSize
from photopipe_dagster.ledger.scenes import SceneRevision
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.pipeline.stages.quality import picture_checks
from photopipe_dagster.publishing.flat_lay import flat_lay_of
from photopipe_dagster.runtime.providers import is_generative
from photopipe_dagster.runtime.scenes import in_scene
from photopipe_dagster.storage.pictures import (
    Artifact,
    BackgroundFacts,
    CompositeFacts,
    CutoutFacts,
)
from photopipe_dagster.themes.model import Theme

OPTICAL_SHARE: Final = 0.4
"""Optical size of products where a theme's placement has no share: see `placement.Stand`."""

_FITS: Final = 0.97
"""Share of its true height that a product has where it fits its scene: the rest is rounding."""

CLASS_FACTORS: Final = {"XS": 0.6, "S": 0.8, "M": 1.0, "L": 1.2, "XL": 1.4}
"""Optical size of a class for the usual one's."""


async def compose(
    photo: PhotoContext,
    cutout: Artifact[CutoutFacts],
    background: Artifact[BackgroundFacts],
) -> StageResult[CompositeFacts]:
    """Put the cut-out on its background, unless the same two were put together before.

    Raises:
        CompositeError: The pictures do not go together, or break a marketplace's rules.
    """
    scene = await scene_behind(photo, background)
    theme = in_scene(photo.services.themes.get(photo.key.theme), scene)
    # By what is known of the product: nobody is asked for that alone.
    known = await photo.product.current()
    flat_lay = flat_lay_of(photo.services.settings, photo.key.sku, known)
    limit = photo.services.limits.size
    lies, source = flat_lay is not None, source_type(background.facts, scene)
    inputs = {"mask": cutout.digest, "background": background.digest}
    stand, sized = await _stand(photo, theme, background.facts, scene)
    recipe_id = composite_recipe(theme, source, inputs, lies=lies, limit=limit, stand=stand)
    from_outside = outside_recipe(Stage.COMPOSITE, inputs)
    artifact = await photo.pictures.find(Stage.COMPOSITE, CompositeFacts, recipe_id, from_outside)
    if artifact is not None and not lies and artifact.facts.pose in (Pose.LIES, Pose.FLOATING):
        artifact = None  # by an earlier version, which told that by the outline alone
    reused = artifact is not None
    if artifact is None:
        async with photo.services.decode_slots:
            product = await photo.pictures.cutout_of(cutout)
            made = await asyncio.to_thread(
                finish,
                product,
                await photo.pictures.bytes_of(background),
                scene_of(theme, lies=lies, limit=limit, stand=stand),
                rules=theme.rules,
                xmp=xmp_packet(source, f"{photo.key.sku}, {theme.name}"),
            )
        jpeg = made.composite.jpeg
        artifact = await photo.pictures.put(
            Stage.COMPOSITE,
            jpeg,
            recipe=recipe_id,
            facts=_measured(made, source, flat_lay=lies).model_copy(
                update={"scene": background.facts.scene, **sized, **limited(made, stand)}
            ),
        )
    else:
        jpeg = await photo.pictures.bytes_of(artifact)
    async with photo.services.decode_slots:
        thumbnail = await asyncio.to_thread(thumbnail_data_uri, jpeg, side=256)
    checks = await picture_checks(
        photo, theme, jpeg, artifact.facts, background.facts, flat_lay, known
    )
    photo.pictures.keep(artifact, jpeg)
    shown = {"theme": photo.key.theme, "bytes": len(jpeg)}
    return StageResult(
        artifact,
        reused,
        shown=shown if flat_lay is None else {**shown, "lies": flat_lay.reason},
        thumbnail=thumbnail,
        checks=checks,
    )


async def scene_behind(
    photo: PhotoContext, background: Artifact[BackgroundFacts]
) -> SceneRevision | None:
    """The scene that a background is a part of; ``None`` where it is a picture of its own."""
    if background.facts.scene is None:
        return None
    name, _, revision = background.facts.scene.rpartition("@")
    return await asyncio.to_thread(photo.services.ledger.scenes.get, name, int(revision))


async def _stand(
    photo: PhotoContext, theme: Theme, background: BackgroundFacts, scene: SceneRevision | None
) -> tuple[Stand | None, dict[str, object]]:
    """Where a product stands in its scene, and what has decided its size."""
    if scene is None:
        return None, {}
    size = None
    if theme.scale in (Scale.TRUE, Scale.CLASS):
        size = await asyncio.to_thread(photo.services.ledger.product_sizes.get, photo.key.sku)
    return scaled(theme, scene.view, background.size, size)


def limited(made: Finished, stand: Stand | None) -> dict[str, object]:
    """A fact of a product whose true height does not fit the scene; nothing where it does."""
    if stand is None or stand.height is None:
        return {}
    _, top, _, bottom = made.composite.box
    if (bottom - top) / made.composite.height > _FITS * stand.height:
        return {}
    return {"scaled_by": "fill: the product is larger than the scene's standing area"}


def scaled(
    theme: Theme, view: SceneView, canvas: tuple[int, int], size: ProductSize | None
) -> tuple[Stand, dict[str, object]]:
    """Where a product stands in a part of a scene, and facts of what decides its size.

    What is not known is not guessed: such a product fills what its placement says.

    Args:
        canvas: Width and height of that part, pixels.
        size: What the shop says of the product.
    """
    stand = view.stand_in(*canvas)
    usual = OPTICAL_SHARE if theme.placement.share is None else theme.placement.share / 2
    if theme.scale is Scale.OPTICAL:
        return replace(stand, optical=usual), {"scaled_by": Scale.OPTICAL}
    if theme.scale is Scale.CLASS and size is not None and size.size_class is not None:
        factor = CLASS_FACTORS[size.size_class]
        return replace(stand, optical=usual * factor), {"scaled_by": f"class {size.size_class}"}
    if theme.scale is Scale.TRUE and size is not None and size.height_cm is not None:
        share = view.height_share(size.height_cm, *canvas)
        if share is not None:
            facts = {"scaled_by": Scale.TRUE, "height_cm": size.height_cm}
            return replace(stand, height=share), facts
        return stand, {"scaled_by": "fill: the scene's pixels per centimetre are not known"}
    if theme.scale in (Scale.TRUE, Scale.CLASS):
        missing = "height" if theme.scale is Scale.TRUE else "size class"
        return stand, {"scaled_by": f"fill: the product's {missing} is not known"}
    return stand, {"scaled_by": Scale.FILL}


def scene_of(
    theme: Theme,
    *,
    lies: bool = False,
    limit: SizeLimit = TWENTY_MEGAPIXELS,
    stand: Stand | None = None,
) -> Scene:
    """How a theme has its products set into its background.

    Args:
        stand: Where, in a scene: its background has the canvas's size already.
    """
    return Scene(
        light=theme.light,
        placement=theme.placement,
        canvas=Canvas.parse(theme.canvas),
        stand=stand,
        limit=limit,
        tone_match=theme.tone_match,
        lies=lies,
    )


def composite_recipe(
    theme: Theme,
    source: SourceType,
    inputs: Mapping[str, str],
    *,
    lies: bool = False,
    limit: SizeLimit = TWENTY_MEGAPIXELS,
    stand: Stand | None = None,
) -> str:
    """Digest of all that decides how a composite looks and what it says of itself.

    A theme's prompt is not among it: it decides the background.

    Args:
        inputs: Digests of the mask and the background.
        lies: Whether the product is known to lie in its photo; no matter who has said so, it is one
            picture.
        limit: The largest picture that may be published.
        stand: Where it stands in its scene.
    """
    scene = scene_of(theme, lies=lies)
    parameters: dict[str, object] = {
        "light": scene.light,
        "placement": scene.placement,
        "canvas": theme.canvas,
        "tone_match": scene.tone_match,
        "rules": theme.rules,
        "provenance": PROVENANCE_VERSION,
        "source": source,
        "lies": scene.lies,
    }
    if lies and theme.light is not None and theme.light.plain:
        parameters["shade"] = "away from the light"  # it was all around
    if limit != TWENTY_MEGAPIXELS:  # by which pictures were made before there was a choice
        parameters["limit"] = limit
    if stand is not None:
        parameters["stand"] = stand
    return recipe(Stage.COMPOSITE, parameters, inputs)


def composed_alike(one: Theme, other: Theme) -> bool:
    """Whether two themes set the same product into the same background in the same way."""
    recipes = {composite_recipe(each, SourceType.COMPOSITE, {}) for each in (one, other)}
    return len(recipes) == 1 and one.scale is other.scale


def source_type(background: BackgroundFacts, scene: SceneRevision | None = None) -> SourceType:
    """What a composite on that background says of its own origin.

    Args:
        scene: That the background is a part of.
    """
    generative = is_generative(background.provider if scene is None else scene.picture.provider)
    return SourceType.AI_BACKGROUND if generative else SourceType.COMPOSITE


def _measured(made: Finished, source: SourceType, *, flat_lay: bool) -> CompositeFacts:
    """The numbers that are kept with a composite."""
    picture, fidelity, final = made.composite, made.fidelity, made.final
    # Where a product is known to lie, its outline says nothing of how it would stand.
    stands = picture.firmness is not None and not flat_lay
    return CompositeFacts(
        width=final.width,
        height=final.height,
        srgb=final.srgb,
        coverage=round(picture.coverage, 4),
        box=picture.box,
        frame_share=round(final.frame_share, 4),
        scale=round(picture.scale, 4),
        pose=picture.pose,
        jpeg=f"q{picture.quality} {'4:4:4' if picture.full_colour else '4:2:0'}",
        delta_e_median=fidelity.median,
        delta_e_p99=fidelity.p99,
        structure=fidelity.structure,
        edges=fidelity.edges,
        firmness=round(picture.firmness or 0, 3) if stands else None,
        steepness=round(picture.steepness, 1) if stands and picture.steepness else None,
        white=None if final.white is None else round(final.white, 6),
        ground=round(picture.ground, 4),
        optical=round(picture.optical, 4),
        shadow=picture.shadow,
        digital_source_type=source,
    )
