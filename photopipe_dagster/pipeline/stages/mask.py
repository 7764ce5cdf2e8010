"""Stage *mask*: the cut-out, an RGBA picture of the product alone."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from photopipe_dagster.core.recipe import outside_recipe
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.ledger.jobs.leases import cutout_lease
from photopipe_dagster.pipeline.acceptance import accept_cutout
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.pipeline.purchase import Order, book_found, buy
from photopipe_dagster.pipeline.purchase_keys import mask_purchase
from photopipe_dagster.pipeline.sharing import bought_for_all
from photopipe_dagster.pipeline.stages.quality import cutout_checks
from photopipe_dagster.providers.base import Cutout, Original
from photopipe_dagster.storage.pictures import Artifact, CutoutFacts, OriginalFacts


async def cut_out(
    photo: PhotoContext, original: Artifact[OriginalFacts]
) -> StageResult[CutoutFacts]:
    """Have the product cut out, unless that was done: for another theme, or before a restart.

    Raises:
        JobError: As the provider says, or the cut-out is empty or does not fit the photo.
    """
    provider = photo.services.cutouts
    recipe_id, purchase_key = mask_purchase(photo.key, provider, original.digest)
    order = Order(Stage.MASK, purchase_key, provider.name, provider.cutout_price())
    data = await photo.pictures.bytes_of(original)
    cost, made = Decimal(0), False
    lease = cutout_lease(photo.key)
    async with photo.leases.hold(lease, waiting=photo.slot.released):
        from_outside = outside_recipe(Stage.MASK, {"original": original.digest})
        found = await photo.pictures.find(Stage.MASK, CutoutFacts, recipe_id, from_outside)
        if found is not None:
            await book_found(photo, order)
        else:
            async with bought_for_all(photo, order, CutoutFacts) as found:
                if found is None:
                    made = True
                    artifact, picture, cost = await _buy(photo, original, data, recipe_id, order)
    if found is not None:
        artifact = found
        async with photo.services.decode_slots:
            picture = await photo.pictures.cutout_of(artifact)
    async with photo.services.decode_slots:
        thumbnail = await asyncio.to_thread(lambda: thumbnail_data_uri(picture.rgba()))
    checks = await cutout_checks(photo, data, picture, artifact.facts)
    photo.pictures.keep(artifact, picture)
    return StageResult(
        artifact,
        reused=not made,
        cost=cost,
        provider=artifact.facts.provider or provider.name,
        model=artifact.facts.model,
        thumbnail=thumbnail,
        checks=checks,
    )


async def _buy(
    photo: PhotoContext,
    original: Artifact[OriginalFacts],
    data: bytes,
    recipe_id: str,
    order: Order,
) -> tuple[Artifact[CutoutFacts], CutoutPicture, Decimal]:
    services, facts = photo.services, original.facts
    source = Original(
        data=data,
        content_type=facts.content_type,
        width=facts.width,
        height=facts.height,
        signed_url=lambda: services.store.presign_get(
            str(original.key), services.settings.s3_presigned_url_expiry
        ),
    )

    async def store(made: Cutout) -> tuple[Artifact[CutoutFacts], CutoutPicture]:
        async with services.decode_slots:
            accepted = await asyncio.to_thread(accept_cutout, made.picture, facts.size)
        told = CutoutFacts.model_validate(
            {
                **made.metadata,
                **accepted.facts.shown(),
                "provider": order.provider,
                "model": made.model,
            }
        )
        artifact = await photo.pictures.put(Stage.MASK, accepted.png, recipe=recipe_id, facts=told)
        return artifact, accepted.picture

    bought = await buy(
        photo, order, lambda purchase: services.cutouts.remove_background(source, purchase), store
    )
    return *bought.kept, bought.cost
