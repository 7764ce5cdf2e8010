"""Stage *background*: a scene in the photo's theme, of the size of its cut-out."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from photopipe_dagster.core.recipe import outside_recipe
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.ledger.scenes import SceneRevision
from photopipe_dagster.pipeline.acceptance import accept_background, accept_jpeg
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.pipeline.purchase import Bought, Order, book_found, buy
from photopipe_dagster.pipeline.purchase_keys import background_purchase, background_request
from photopipe_dagster.pipeline.sharing import bought_for_all
from photopipe_dagster.providers.base import Background, BackgroundProvider, BackgroundRequest
from photopipe_dagster.publishing.approval import Held, ensure_worth_buying
from photopipe_dagster.publishing.product_kind import misfit
from photopipe_dagster.runtime.scenes import chosen_scene
from photopipe_dagster.storage.pictures import Artifact, BackgroundFacts, CutoutFacts
from photopipe_dagster.themes.model import SceneChoice, Theme


async def make_background(
    photo: PhotoContext, cutout: Artifact[CutoutFacts]
) -> StageResult[BackgroundFacts] | Held:
    """Have a background made, unless one by the same recipe is stored.

    None is bought for a product that is known not to suit the theme, until a person says so.

    Raises:
        JobError: As the provider says.
    """
    theme = photo.services.themes.get(photo.key.theme)
    scene = await _scene(photo, theme, cutout)
    request = background_request(
        theme,
        photo.key,
        cutout.facts.size,
        photo.job.variant,
        limit=photo.services.limits.size,
        scene=scene,
    )
    provider = photo.services.backgrounds(theme)
    recipe_id, purchase_key = background_purchase(photo.key, provider, request, photo.job.variant)
    price = provider.background_price(request)
    order = Order(Stage.BACKGROUND, purchase_key, provider.name, price)
    from_outside = outside_recipe(Stage.BACKGROUND, {})
    artifact = await photo.pictures.find(Stage.BACKGROUND, BackgroundFacts, recipe_id, from_outside)
    reused, cost = False, Decimal(0)
    if artifact is None:
        held = await _unsuited(photo, theme, cutout.digest) if price else None
        if held is not None:
            return held
        async with bought_for_all(photo, order, BackgroundFacts) as artifact:
            if artifact is None:
                bought = await _buy(photo, provider, request, recipe_id, order)
                (made, jpeg), cost = bought.kept, bought.cost
    else:
        await book_found(photo, order)
    if artifact is not None:
        reused, made = True, artifact
        jpeg = await photo.pictures.bytes_of(artifact)
    async with photo.services.decode_slots:
        thumbnail = await asyncio.to_thread(thumbnail_data_uri, jpeg)
    photo.pictures.keep(made, jpeg)
    return StageResult(
        made,
        reused,
        cost=cost,
        provider=made.facts.provider or provider.name,
        model=made.facts.model,
        shown={"theme": photo.key.theme},
        thumbnail=thumbnail,
    )


async def _scene(
    photo: PhotoContext, theme: Theme, cutout: Artifact[CutoutFacts]
) -> SceneRevision | None:
    shape = None
    if theme.scenes and theme.scene_choice is SceneChoice.SHAPE:
        async with photo.services.decode_slots:
            product = await photo.pictures.cutout_of(cutout)
        photo.pictures.keep(cutout, product)
        left, top, right, bottom = product.visible_box
        shape = (right - left) / (bottom - top)
    scenes = photo.services.ledger.scenes
    return await asyncio.to_thread(chosen_scene, scenes, theme, photo.key.sku, shape=shape)


async def _unsuited(photo: PhotoContext, theme: Theme, cutout_digest: str) -> Held | None:
    wrong = misfit(theme, await photo.product.current())
    return ensure_worth_buying(photo.job, cutout_digest, wrong, photo.services.settings)


async def _buy(
    photo: PhotoContext,
    provider: BackgroundProvider,
    request: BackgroundRequest,
    recipe_id: str,
    order: Order,
) -> Bought[tuple[Artifact[BackgroundFacts], bytes]]:
    async def store(made: Background) -> tuple[Artifact[BackgroundFacts], bytes]:
        async with photo.services.decode_slots:
            if order.price:
                asked = (request.width, request.height)
                jpeg, size = await asyncio.to_thread(accept_background, made.data, asked)
            else:
                jpeg, size = await asyncio.to_thread(accept_jpeg, made.data)
        told = BackgroundFacts.model_validate(
            {
                **made.metadata,
                **size.shown(),
                "provider": provider.name,
                "model": made.model,
            }
        )
        artifact = await photo.pictures.put(Stage.BACKGROUND, jpeg, recipe=recipe_id, facts=told)
        return artifact, jpeg

    return await buy(
        photo, order, lambda purchase: provider.generate_background(request, purchase), store
    )
