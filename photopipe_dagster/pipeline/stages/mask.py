"""Stage *mask*: the cut-out, an RGBA picture of the product alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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
from photopipe_dagster.pipeline.routes import along
from photopipe_dagster.pipeline.sharing import bought_for_all
from photopipe_dagster.pipeline.stages.quality import cutout_checks
from photopipe_dagster.providers.base import Cutout, CutoutProvider, Original
from photopipe_dagster.quality.results import CheckResult, Verdict
from photopipe_dagster.storage.pictures import Artifact, CutoutFacts, OriginalFacts


async def cut_out(
    photo: PhotoContext, original: Artifact[OriginalFacts]
) -> StageResult[CutoutFacts]:
    """Have the product cut out, unless that was done: for another theme, or before a restart.

    Raises:
        JobError: As the provider says, or the cut-out is empty or does not fit the photo.
    """
    data = await photo.pictures.bytes_of(original)

    def order_of(provider: CutoutProvider) -> Order:
        purchase_key = mask_purchase(photo.key, provider, original.digest)[1]
        return Order(Stage.MASK, purchase_key, provider.name, provider.cutout_price())

    async def attempt(provider: CutoutProvider, order: Order) -> _CutOut:
        return await _cut_out_by(provider, photo, original, data, order)

    async def objection(made: _CutOut) -> str | None:
        """Why another provider should cut out: a person's repair, or an outsider's, stays."""
        if made.artifact.facts.provider != made.provider:
            return None
        made.checks = await cutout_checks(photo, data, made.picture, made.artifact.facts)
        failed = [each for check in made.checks for each in check.at(Verdict.FAIL)]
        return f"Its cut-out fails the checks: {failed[0]}" if failed else None

    async with photo.leases.hold(cutout_lease(photo.key), waiting=photo.slot.released):
        route = photo.services.cutout_route
        made = await along(photo, Stage.MASK, route, order_of, attempt, objection)
    artifact, picture = made.artifact, made.picture
    async with photo.services.decode_slots:
        thumbnail = await asyncio.to_thread(lambda: thumbnail_data_uri(picture.rgba()))
    checks = made.checks
    if checks is None:
        checks = await cutout_checks(photo, data, picture, artifact.facts)
    photo.pictures.keep(artifact, picture)
    return StageResult(
        artifact,
        reused=made.reused,
        cost=made.cost,
        provider=artifact.facts.provider or made.provider,
        model=artifact.facts.model,
        thumbnail=thumbnail,
        checks=checks,
    )


@dataclass(slots=True)
class _CutOut:
    """A cut-out by the provider that was asked, or found where it would be.

    Args:
        checks: What the checks say, where they were asked already.
    """

    provider: str
    artifact: Artifact[CutoutFacts]
    picture: CutoutPicture
    cost: Decimal
    reused: bool
    checks: tuple[CheckResult, ...] | None = None


async def _cut_out_by(
    provider: CutoutProvider,
    photo: PhotoContext,
    original: Artifact[OriginalFacts],
    data: bytes,
    order: Order,
) -> _CutOut:
    recipe_id = mask_purchase(photo.key, provider, original.digest)[0]
    from_outside = outside_recipe(Stage.MASK, {"original": original.digest})
    found = await photo.pictures.find(Stage.MASK, CutoutFacts, recipe_id, from_outside)
    if found is not None:
        await book_found(photo, order)
    else:
        async with bought_for_all(photo, order, CutoutFacts) as found:
            if found is None:
                bought = await _buy(provider, photo, original, data, recipe_id, order)
                return _CutOut(provider.name, *bought, reused=False)
    async with photo.services.decode_slots:
        picture = await photo.pictures.cutout_of(found)
    return _CutOut(provider.name, found, picture, Decimal(0), reused=True)


async def _buy(
    provider: CutoutProvider,
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
        photo, order, lambda purchase: provider.remove_background(source, purchase), store
    )
    return *bought.kept, bought.cost
