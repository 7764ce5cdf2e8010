"""Scenes from a provider: rendered here, or bought, several at once to keep the best.

They are bought as a photo's background is (`purchase`), in the name of the scene: a command that
is killed at any moment goes on where it stood when it is given again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal

from photopipe_dagster.core.errors import ProviderError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.imaging.scene_estimate import estimate_scene
from photopipe_dagster.ledger.jobs.leases import purchase_lease
from photopipe_dagster.ledger.scenes import ScenePicture, SceneRevision, check_name, scene_key
from photopipe_dagster.pipeline.acceptance import accept_background, accept_jpeg
from photopipe_dagster.pipeline.purchase import Order, book_found, buy
from photopipe_dagster.pipeline.purchase_keys import background_recipe
from photopipe_dagster.providers.base import Background, BackgroundProvider, BackgroundRequest
from photopipe_dagster.runtime.leases import LeaseHolder
from photopipe_dagster.runtime.scenes import OF_SCENES
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.runtime.slots import Slot
from photopipe_dagster.storage.pictures import BackgroundFacts, find_picture, put_picture
from photopipe_dagster.themes.model import Theme


@dataclass(frozen=True, slots=True)
class SceneWish:
    """Scenes that are to be made.

    Args:
        name: Of the scene; each becomes a draft of it.
        theme: Its prompt, looks and light are the scene's.
        width: Pixels that are asked for.
        height: Pixels.
        count: How many.
    """

    name: str
    theme: Theme
    width: int
    height: int
    count: int = 1

    def request(self, number: int) -> BackgroundRequest:
        """What is asked of the provider for one of them, from 0."""
        seed = hashlib.sha256(f"{self.name}/{number}".encode()).digest()
        theme = replace(self.theme, scenes=(), rules=None)
        return BackgroundRequest(theme, self.width, self.height, int.from_bytes(seed[:4]) >> 1)


@dataclass(frozen=True, slots=True)
class _SceneBuyer:
    key: PhotoKey
    owner: str
    services: Services
    slot: Slot


def price_of(services: Services, wish: SceneWish) -> Decimal:
    """What it would cost if nothing of it was bought before, USD."""
    provider = services.background_route(replace(wish.theme, scenes=()))[0]
    prices = (provider.background_price(wish.request(number)) for number in range(wish.count))
    return sum(prices, Decimal(0))


async def make_scenes(
    services: Services, wish: SceneWish, *, by: str, owner: str
) -> AsyncIterator[SceneRevision]:
    """Have scenes made, one after another; each is a draft as soon as it is there.

    What was made or bought before by the same wish is not made or bought again.

    Args:
        by: The person, for the ledger.
        owner: Holds leases and pays; no other process has it.

    Raises:
        PhotopipeError: The name is none.
        JobError: As the provider says; those before are kept.
    """
    check_name(wish.name)
    provider = services.background_route(replace(wish.theme, scenes=()))[0]
    lease = services.settings.job_lease_seconds
    async with (
        LeaseHolder(services.ledger.leases, owner, lease) as leases,
        Slot(asyncio.Semaphore(1)) as slot,
    ):
        for number in range(wish.count):
            request = wish.request(number)
            recipe_id = background_recipe(provider, request)
            sha256 = hashlib.sha256(f"{wish.name}/{number}".encode()).hexdigest()
            key = PhotoKey(f"scene {wish.name}", sha256, OF_SCENES)
            buyer = _SceneBuyer(key, owner, services, slot)
            async with leases.hold(purchase_lease(recipe_id)):
                picture = await _made(buyer, provider, request, recipe_id, wish.name)
                yield await asyncio.to_thread(services.ledger.scenes.add, wish.name, picture, by=by)


async def _made(
    buyer: _SceneBuyer,
    provider: BackgroundProvider,
    request: BackgroundRequest,
    recipe_id: str,
    name: str,
) -> ScenePicture:
    services, asked = buyer.services, (request.width, request.height)
    key = f"scenes/{name}/made/{recipe_id}.jpg"
    order = Order(
        Stage.BACKGROUND,
        f"{key}#{recipe_id}",
        provider.name,
        provider.background_price(request),
    )

    async def keep(made: Background) -> None:
        async with services.decode_slots:
            if order.price:
                jpeg, size = await asyncio.to_thread(accept_background, made.data, asked)
            else:
                jpeg, size = await asyncio.to_thread(accept_jpeg, made.data)
        facts = BackgroundFacts(
            width=size.width, height=size.height, provider=provider.name, model=made.model
        )
        await asyncio.to_thread(
            put_picture,
            services.store,
            key,
            jpeg,
            content_type="image/jpeg",
            recipe=recipe_id,
            facts=facts,
        )

    if await asyncio.to_thread(find_picture, services.store, key, BackgroundFacts) is None:
        await buy(
            buyer, order, lambda purchase: provider.generate_background(request, purchase), keep
        )
    else:
        await book_found(buyer, order)
    return await asyncio.to_thread(_picture, services, name, key, recipe_id, request)


def _picture(
    services: Services, name: str, key: str, recipe_id: str, request: BackgroundRequest
) -> ScenePicture:
    stored = services.store.get(key)
    found = find_picture(services.store, key, BackgroundFacts)
    if stored is None or found is None:
        raise ProviderError(f"{key} has left the object store. Give the command again.")
    estimate = estimate_scene(stored.data)
    light, theirs = estimate.view.light, request.theme.light
    confidence = estimate.confidence
    if theirs is not None:  # what it was asked to be like says more than what is measured
        light = replace(theirs, plain=light.plain)
        confidence = {name: confidence[name] for name in ("ground", "pitch_degrees")}
    spends = services.ledger.spending.of_recipe(recipe_id)
    picture = ScenePicture(
        digest=digest(stored.data),
        content_type="image/jpeg",
        view=replace(estimate.view, light=light),
        confidence=confidence,
        provider=found.facts.provider or "",
        model=found.facts.model,
        prompt=request.theme.prompt or None,
        cost=sum((spend.amount for spend in spends), Decimal(0)),
    )
    target = scene_key(name, picture.digest, "image/jpeg")
    services.store.put(target, stored.data, content_type="image/jpeg")
    return picture
