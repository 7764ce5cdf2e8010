"""What is bought for one photo serves all of the same bytes: three SKUs of one photo pay once.

Each photo keeps its pictures under keys of its own, so it copies what another one has bought by
the same recipe. The ledger has a row for each that shares, and says who has paid.

Photos of the same bytes wait for each other here, in all processes: the first one buys, the others
find what it has stored. If its process dies, the next one goes on where it stood.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from photopipe_dagster.core.stages import SPECS
from photopipe_dagster.ledger.jobs.leases import purchase_lease
from photopipe_dagster.ledger.money.spending import OPEN, Spend, recipe_of
from photopipe_dagster.pipeline.photo import PhotoContext
from photopipe_dagster.pipeline.purchase import Order, note_shared
from photopipe_dagster.storage.pictures import Artifact, P, described, is_sound


@asynccontextmanager
async def bought_for_all(
    photo: PhotoContext, order: Order, facts: type[P]
) -> AsyncIterator[Artifact[P] | None]:
    """Around a purchase: what was bought for another photo already, stored as this one's, too.

    Nobody else buys the same until the block ends. What is free is made for each photo.

    Args:
        facts: What is known of the stage's picture.

    Yields:
        ``None`` where it has to be bought.
    """
    if not order.price:
        yield None
        return
    recipe = recipe_of(order.purchase_key)
    async with photo.leases.hold(purchase_lease(recipe), waiting=photo.slot.released):
        yield await _copied(photo, order, recipe, facts)


async def _copied(
    photo: PhotoContext, order: Order, recipe: str, facts: type[P]
) -> Artifact[P] | None:
    spends = await asyncio.to_thread(photo.services.ledger.spending.of_recipe, recipe)
    for spend in spends:
        found = await _copy_of(photo, order, spend, recipe, facts)
        if found is not None:
            await note_shared(photo, order, payer=spends[0].job_id)
            if spend.state in OPEN:  # its process died when it had stored it
                kept = photo.services.ledger.spending.kept
                await asyncio.to_thread(kept, spend.purchase_key)
            return found
    return None


async def _copy_of(
    photo: PhotoContext, order: Order, spend: Spend, recipe: str, facts: type[P]
) -> Artifact[P] | None:
    key = spend.purchase_key.rpartition("#")[0]
    own = photo.key.object_key(order.stage, photo.job.variant)
    if key in ("", own):
        return None
    stored = await asyncio.to_thread(photo.services.store.get, key)
    picture = None if stored is None else described(stored.info, facts)
    if stored is None or picture is None or picture.recipe != recipe:
        return None
    if not await asyncio.to_thread(is_sound, stored):
        return None  # damaged: anyone who it belongs to says so
    return await photo.pictures.put(
        order.stage,
        stored.data,
        recipe=recipe,
        facts=picture.facts,
        content_type=SPECS[order.stage].content_type,
    )
