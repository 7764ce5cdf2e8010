"""Stage *mask*: the cut-out, an RGBA picture of the product alone."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Final

from photopipe_dagster.core.errors import Billed, ErrorCode, ProviderError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.recipe import outside_recipe
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.png import decode_cutout, encode_cutout
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.ledger.jobs.leases import cutout_claim
from photopipe_dagster.pipeline.purchase import book_found, buy
from photopipe_dagster.pipeline.purchase_keys import mask_purchase
from photopipe_dagster.pipeline.stages import pictures
from photopipe_dagster.pipeline.stages.quality import cutout_checks
from photopipe_dagster.pipeline.work import StageOutcome, Work
from photopipe_dagster.providers.base import Cutout, Original
from photopipe_dagster.storage.pictures import StoredPicture

_RATIO_TOLERANCE: Final = 0.02
"""A provider may scale a photo, by rounding to a pixel; it may not crop it."""


async def mask(work: Work) -> StageOutcome:
    """Have the product cut out, unless that was done: for another theme, or before a restart.

    Raises:
        JobError: As the provider says, or the cut-out is empty or does not fit the photo.
    """
    original = await pictures.require(work, Stage.ORIGINAL)
    provider = work.services.cutouts
    made_by, purchase_key = mask_purchase(work.key, provider, original.digest)
    async with work.claimant.hold(cutout_claim(work.key)):
        from_outside = outside_recipe(Stage.MASK, {"original": original.digest})
        stored = await pictures.find(work, Stage.MASK, made_by, from_outside)
        reused = stored is not None
        if stored is None:
            stored = await _cut_out(work, original, made_by, purchase_key)
        else:
            await book_found(work, purchase_key=purchase_key, price=provider.cutout_price())
    if work.cutout is None:
        png = await pictures.read(work, Stage.MASK)
        async with work.services.pictures:
            work.cutout = await asyncio.to_thread(CutoutPicture.from_png, png)
    async with work.services.pictures:
        thumbnail = await asyncio.to_thread(_thumbnail, work.cutout)
    checks = await cutout_checks(work, stored, work.cutout)
    work.original = None  # no later stage looks at it
    return StageOutcome(
        object_key=stored.key,
        recipe=stored.recipe,
        digest=stored.digest,
        reused=reused,
        cost=Decimal(0) if reused else provider.cutout_price(),
        provider=stored.facts.get("provider", provider.name),
        model=stored.facts.get("model"),
        facts=stored.facts,
        thumbnail=thumbnail,
        checks=checks,
    )


async def _cut_out(
    work: Work, original: StoredPicture, made_by: str, purchase_key: str
) -> StoredPicture:
    services, key = work.services, work.key.object_key(Stage.ORIGINAL)
    width, height = original.size
    source = Original(
        data=work.original or await pictures.read(work, Stage.ORIGINAL),
        content_type=original.facts["content_type"],
        width=width,
        height=height,
        signed_url=lambda: services.store.presign_get(
            key, services.settings.s3_presigned_url_expiry
        ),
    )

    async def keep(made: Cutout) -> StoredPicture:
        async with services.pictures:
            cutout, png = await asyncio.to_thread(_normalise, made, width, height)
        work.cutout = cutout
        return await pictures.keep(
            work,
            Stage.MASK,
            png,
            content_type="image/png",
            recipe=made_by,
            facts={
                **made.metadata,
                "width": cutout.width,
                "height": cutout.height,
                "provider": services.cutouts.name,
                "model": made.model,
            },
        )

    return await buy(
        work,
        Stage.MASK,
        purchase_key=purchase_key,
        provider=services.cutouts.name,
        price=services.cutouts.cutout_price(),
        call=lambda purchase: services.cutouts.remove_background(source, purchase),
        keep=keep,
    )


def _thumbnail(cutout: CutoutPicture) -> str:
    return thumbnail_data_uri(cutout.rgba())


def _normalise(cutout: Cutout, width: int, height: int) -> tuple[CutoutPicture, bytes]:
    """Decode what a provider made, check it, and write it the way that reads back fastest."""
    rgba = decode_cutout(cutout.png)
    made_height, made_width = rgba.shape[:2]
    if abs(made_width / made_height - width / height) > _RATIO_TOLERANCE * width / height:
        raise ProviderError(
            f"The cut-out is {made_width}×{made_height} pixels, the photo {width}×{height}: "
            "the provider cropped or turned it. Try again, or choose another provider.",
            billed=Billed.YES,
            code=ErrorCode.SEGMENTATION_ERROR,
        )
    if not rgba[..., 3].any():
        raise ProviderError(
            "The cut-out is empty: no product was found in the photo. Take the photo again, with "
            "the product in the middle and a plain ground.",
            billed=Billed.YES,
            code=ErrorCode.SEGMENTATION_ERROR,
        )
    return CutoutPicture.from_rgba(rgba), encode_cutout(rgba)
