"""Stage *background*: a scene in the photo's theme, of the size of its cut-out."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.recipe import outside_recipe
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.decode import decode_rgb, inspect
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.pipeline.purchase import book_found, buy
from photopipe_dagster.pipeline.purchase_keys import background_purchase, background_request
from photopipe_dagster.pipeline.stages import pictures
from photopipe_dagster.pipeline.work import StageOutcome, Work
from photopipe_dagster.providers.base import Background, BackgroundProvider, BackgroundRequest
from photopipe_dagster.providers.white import background_maker
from photopipe_dagster.storage.pictures import StoredPicture


async def background(work: Work) -> StageOutcome:
    """Have a background made, unless one by the same recipe is stored.

    Raises:
        JobError: As the provider says.
    """
    cutout = await pictures.require(work, Stage.MASK)
    look = work.services.themes.get(work.key.theme)
    request = background_request(look, work.key, cutout.size, work.job.variant)
    provider = background_maker(look, work.services.backgrounds)
    made_by, purchase_key = background_purchase(work.key, provider, request, work.job.variant)
    from_outside = outside_recipe(Stage.BACKGROUND, {})
    stored = await pictures.find(work, Stage.BACKGROUND, made_by, from_outside)
    reused = stored is not None
    if stored is None:
        stored = await _generate(work, provider, request, made_by, purchase_key)
    else:
        await book_found(
            work,
            purchase_key=purchase_key,
            price=provider.background_price(request),
        )
    if work.background is None:
        work.background = await pictures.read(work, Stage.BACKGROUND)
    async with work.services.pictures:
        thumbnail = await asyncio.to_thread(thumbnail_data_uri, work.background)
    return StageOutcome(
        object_key=stored.key,
        recipe=stored.recipe,
        digest=stored.digest,
        reused=reused,
        cost=Decimal(0) if reused else provider.background_price(request),
        provider=stored.facts.get("provider", provider.name),
        model=stored.facts.get("model"),
        facts={**stored.facts, "theme": work.key.theme},
        thumbnail=thumbnail,
    )


async def _generate(
    work: Work,
    provider: BackgroundProvider,
    request: BackgroundRequest,
    made_by: str,
    purchase_key: str,
) -> StoredPicture:
    services = work.services

    async def keep(made: Background) -> StoredPicture:
        async with services.pictures:
            jpeg, width, height = await asyncio.to_thread(_as_jpeg, made.data)
        work.background = jpeg
        return await pictures.keep(
            work,
            Stage.BACKGROUND,
            jpeg,
            content_type="image/jpeg",
            recipe=made_by,
            facts={
                **made.metadata,
                "width": width,
                "height": height,
                "provider": provider.name,
                "model": made.model,
            },
        )

    return await buy(
        work,
        Stage.BACKGROUND,
        purchase_key=purchase_key,
        provider=provider.name,
        price=provider.background_price(request),
        call=lambda purchase: provider.generate_background(request, purchase),
        keep=keep,
    )


def _as_jpeg(data: bytes) -> tuple[bytes, int, int]:
    """A background as a JPEG, with its width and height: what is one already stays verbatim."""
    info = inspect(data)
    if info.content_type == "image/jpeg":
        return data, info.width, info.height
    return encode_jpeg(decode_rgb(data), quality=95, full_colour=True), info.width, info.height
