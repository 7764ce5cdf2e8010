"""A shop that is a few dictionaries: what a package outside this project would bring along."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint

import pytest
from pydantic import Field

from photopipe_dagster.core import plugins
from photopipe_dagster.core.errors import ConfigurationError, ProductUnknownError, TargetError
from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.placement import SizeLimit
from photopipe_dagster.targets.base import (
    MediaRecord,
    PictureLimits,
    ProductRef,
    Publication,
    PublishedMedia,
    StandingMedia,
    Target,
    TargetContext,
    TargetPlugin,
    Withdrawn,
)
from photopipe_dagster.targets.registry import TARGETS


@dataclass
class Shop:
    """What the shop has.

    Args:
        products: By SKU.
        media: Ids of the pictures on each product, in order, by its id.
        files: All pictures, by their ids.
    """

    products: dict[str, ProductRef] = field(default_factory=dict)
    media: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, Publication] = field(default_factory=dict)
    made: int = 0
    frozen: bool = False

    def add(self, sku: str, **facts: str) -> str:
        """A product with one variant; returns its id."""
        self.made += 1
        product = ProductRef(id=f"product-{self.made}", title=f"Product {sku}", **facts)
        self.products[sku] = product
        self.media[product.id] = []
        return product.id


SHOPS: dict[str, Shop] = {}
"""By the name that MEMORY_SHOP gives."""


class MemorySettings(PluginSettings):
    memory_shop: str | None = Field(None, description="Name of a shop.")


class MemoryTarget:
    name = "memory"

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def find_product(self, sku: str, *, may_be_new: bool = False) -> ProductRef:
        self._open()
        if sku not in self._shop.products:
            raise ProductUnknownError(f"No product has the SKU {sku!r}.")
        return self._shop.products[sku]

    async def publish(self, publication: Publication, record: MediaRecord) -> PublishedMedia:
        self._open()
        shop, product_id = self._shop, publication.product_id
        media_id = record.media_id
        reused = media_id in shop.files
        if media_id is None or not reused:
            media_id = f"media-{len(shop.files)}"
            shop.files[media_id] = publication
            await record.created(media_id)
        order = shop.media[product_id]
        for earlier in record.earlier(product_id):
            if earlier in order and media_id not in order:
                await record.replacing(earlier)
                order[order.index(earlier)] = media_id
        if media_id not in order:
            order.append(media_id)
        return PublishedMedia(media_id, product_id, f"https://memory.test/{media_id}", reused)

    async def withdraw(
        self, product_id: str, media_ids: Collection[str], *, restore: str | None = None
    ) -> Withdrawn:
        order = self._shop.media[product_id]
        taken = tuple(each for each in media_ids if each in order)
        place = min((order.index(each) for each in taken), default=0)
        for each in taken:
            order.remove(each)
        if restore is None or not taken:
            return Withdrawn(taken)
        if restore not in self._shop.files:
            return Withdrawn(taken, lost=restore)
        order.insert(place, restore)
        return Withdrawn(taken, restored=restore)

    async def media_of(
        self, product_ids: Collection[str]
    ) -> Mapping[str, tuple[StandingMedia, ...] | None]:
        files, media = self._shop.files, self._shop.media
        return {
            product_id: tuple(
                StandingMedia(each, files[each].filename) for each in media[product_id]
            )
            if product_id in media
            else None
            for product_id in product_ids
        }

    async def existing(self, media_ids: Collection[str]) -> frozenset[str]:
        return frozenset(media_ids) & self._shop.files.keys()

    async def aclose(self) -> None:
        pass

    def _open(self) -> None:
        if self._shop.frozen:
            raise TargetError("The shop is closed.", service_down=True)


class Plugin(TargetPlugin):
    name = "memory"
    title = "Memory"
    settings = MemorySettings
    needs = "MEMORY_SHOP"
    limits = PictureLimits(SizeLimit(side=120, pixels=14_400), bytes=1_000_000, alt_characters=60)
    media_id = r"media-\d+"

    def shop(self, settings: Settings) -> str | None:
        return settings.of(MemorySettings).memory_shop

    def check(self, settings: Settings) -> None:
        if self.shop(settings) not in SHOPS:
            raise ConfigurationError("MEMORY_SHOP names no shop.")

    def open(self, context: TargetContext) -> Target:
        self.check(context.settings)
        return MemoryTarget(SHOPS[self.shop(context.settings) or ""])

    async def probe(self, context: TargetContext) -> str:
        await self.open(context).existing(())
        return "all there"


@contextmanager
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """As if a package with this target was installed; a shop of the name ``corner`` is open."""
    entry = EntryPoint("memory", f"{__name__}:Plugin", TARGETS.group)

    def entry_points(group: str) -> list[EntryPoint]:
        return [entry] if group == TARGETS.group else []

    def forget() -> None:
        TARGETS.__dict__.pop("_found", None)
        TARGETS._made.pop("memory", None)

    with monkeypatch.context() as patch:
        patch.setattr(plugins, "entry_points", entry_points)
        forget()
        shop = SHOPS["corner"] = Shop()
        yield shop
        del SHOPS["corner"]
    forget()
