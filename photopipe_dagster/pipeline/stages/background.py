"""Stage *background*: a scene in the photo's theme, of the size of its cut-out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from photopipe_dagster.core.recipe import outside_recipe
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.ledger.scenes import SceneRevision
from photopipe_dagster.pipeline.acceptance import accept_background, accept_jpeg
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.pipeline.purchase import Bought, Order, book_found, buy
from photopipe_dagster.pipeline.purchase_keys import background_purchase, background_request
from photopipe_dagster.pipeline.routes import along
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

    def order_of(provider: BackgroundProvider) -> Order:
        key = background_purchase(photo.key, provider, request, photo.job.variant)[1]
        return Order(Stage.BACKGROUND, key, provider.name, provider.background_price(request))

    async def attempt(provider: BackgroundProvider, order: Order) -> _Scene | Held:
        return await _made_by(provider, photo, theme, cutout, request, order)

    async def objection(_: _Scene | Held) -> None:
        return None

    route = photo.services.background_route(theme)
    found = await along(photo, Stage.BACKGROUND, route, order_of, attempt, objection)
    if isinstance(found, Held):
        return found
    made, jpeg = found.artifact, found.jpeg
    async with photo.services.decode_slots:
        thumbnail = await asyncio.to_thread(thumbnail_data_uri, jpeg)
    photo.pictures.keep(made, jpeg)
    return StageResult(
        made,
        found.reused,
        cost=found.cost,
        provider=made.facts.provider or found.provider,
        model=made.facts.model,
        shown={"theme": photo.key.theme},
        thumbnail=thumbnail,
    )


@dataclass(frozen=True, slots=True)
class _Scene:
    """A background by the provider that was asked, or found where it would be."""

    provider: str
    artifact: Artifact[BackgroundFacts]
    jpeg: bytes
    cost: Decimal
    reused: bool


async def _made_by(
    provider: BackgroundProvider,
    photo: PhotoContext,
    theme: Theme,
    cutout: Artifact[CutoutFacts],
    request: BackgroundRequest,
    order: Order,
) -> _Scene | Held:
    recipe_id = background_purchase(photo.key, provider, request, photo.job.variant)[0]
    from_outside = outside_recipe(Stage.BACKGROUND, {})
    artifact = await photo.pictures.find(Stage.BACKGROUND, BackgroundFacts, recipe_id, from_outside)
    if artifact is None:
        held = await _unsuited(photo, theme, cutout.digest) if order.price else None
        if held is not None:
            return held
        async with bought_for_all(photo, order, BackgroundFacts) as artifact:
            if artifact is None:
                bought = await _buy(photo, provider, request, recipe_id, order)
                return _Scene(provider.name, *bought.kept, bought.cost, reused=False)
    else:
        await book_found(photo, order)
    jpeg = await photo.pictures.bytes_of(artifact)
    return _Scene(provider.name, artifact, jpeg, Decimal(0), reused=True)


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
