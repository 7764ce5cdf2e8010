"""An Acme shop: products by SKU, files, and on each product a gallery of files in order.

Every request can be repeated. The shop has one file of a name, however often it is sent; and a
gallery is written as a whole with the version that was read, which the shop refuses where somebody
was faster: then it is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from acme_shop.settings import ShopSettings
from photopipe_dagster.core.errors import (
    NetworkError,
    ProductUnknownError,
    RateLimitError,
    TargetError,
)
from photopipe_dagster.net.client import Retry, new_client, send
from photopipe_dagster.targets.base import (
    MediaRecord,
    ProductRef,
    Publication,
    PublishedMedia,
    StandingMedia,
    TargetContext,
    Withdrawn,
)

ATTEMPTS = 5
"""How often a gallery is written that somebody else writes, too."""


class ShopTarget:
    """One shop."""

    name = "acme-shop"

    def __init__(self, context: TargetContext) -> None:
        own = context.settings.of(ShopSettings)
        token = own.acme_shop_token.get_secret_value() if own.acme_shop_token else ""
        self._retry = Retry(sleep=context.sleep)
        self._http = new_client(
            base_url=own.acme_shop_url or "",
            headers={"Authorization": token},
            transport=context.transport,
        )

    async def find_product(self, sku: str, *, may_be_new: bool = False) -> ProductRef:
        """The one product with exactly this SKU; the shop's search finds similar ones, too."""
        found = await self._ask("GET", "/products", params={"search": sku})
        products = [each for each in found if sku in each["skus"]]
        if len(products) != 1:
            raise ProductUnknownError(
                f"{len(products)} products of the Acme shop have the SKU {sku!r}, and one must "
                "have it. Then `photopipe retry JOB`."
            )
        return ProductRef(products[0]["id"], products[0]["title"])

    async def publish(self, publication: Publication, record: MediaRecord) -> PublishedMedia:
        """Put a picture on a product, once."""
        file = await self._file_of(publication, record)
        reused = file is not None
        if file is None:
            file = await self._ask(
                "PUT",
                "/files",
                params={"name": publication.filename, "alt": publication.alt},
                headers={"Content-Type": publication.content_type},
                content=publication.data,
            )
        await record.created(file["id"])
        await self._place(publication.product_id, file["id"], record)
        return PublishedMedia(file["id"], publication.product_id, file["url"], reused)

    async def withdraw(
        self, product_id: str, media_ids: Collection[str], *, restore: str | None = None
    ) -> Withdrawn:
        """Take pictures off a product, and put an earlier one in their place."""
        back = restore if restore and await self.existing([restore]) else None
        for _ in range(ATTEMPTS):
            product = await self._product(product_id)
            gallery = product["gallery"] if product else []
            taken = tuple(each for each in media_ids if each in gallery)
            if not taken:  # an earlier attempt got so far, or the merchant has done it
                return Withdrawn(restored=back if back in gallery else None)
            if await self._write(product, _replaced(gallery, taken, back)):
                return Withdrawn(taken, back, lost=None if back else restore)
        raise _busy(product_id)

    async def media_of(
        self, product_ids: Collection[str]
    ) -> Mapping[str, tuple[StandingMedia, ...] | None]:
        """What is in the gallery of each product."""
        return {each: await self._standing(each) for each in product_ids}

    async def existing(self, media_ids: Collection[str]) -> frozenset[str]:
        """Those files that the shop still has."""
        files = await self._ask("GET", "/files", params={"id": list(media_ids)})
        return frozenset(each["id"] for each in files)

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def _file_of(self, publication: Publication, record: MediaRecord) -> Any | None:
        """What an earlier attempt made: by its id, since it may have been renamed, or its name."""
        for known in ({"id": record.media_id}, {"name": publication.filename}):
            files = await self._ask("GET", "/files", params=known) if all(known.values()) else ()
            if files:
                return files[0]
        return None

    async def _place(self, product_id: str, media_id: str, record: MediaRecord) -> None:
        """Put a file where earlier ones stand, or at the end; leave it where it stands already."""
        for _ in range(ATTEMPTS):
            product = await self._product(product_id)
            if product is None:
                raise TargetError(f"The product {product_id} is gone from the Acme shop.")
            gallery = product["gallery"]
            leaving = [each for each in record.earlier(product_id) if each in gallery]
            if media_id in gallery and not leaving:
                return
            await record.replacing(leaving[0] if leaving else None)
            if await self._write(product, _replaced(gallery, leaving, media_id)):
                return
        raise _busy(product_id)

    async def _product(self, product_id: str) -> Any | None:
        return await self._ask("GET", f"/products/{product_id}")

    async def _standing(self, product_id: str) -> tuple[StandingMedia, ...] | None:
        product = await self._product(product_id)
        if product is None:
            return None
        files = await self._ask("GET", "/files", params={"id": product["gallery"]})
        return tuple(StandingMedia(each["id"], each["name"]) for each in files)

    async def _write(self, product: Any, gallery: list[str]) -> bool:
        """Write a gallery; whether nobody was faster."""
        path = f"/products/{product['id']}/gallery"
        body = {"version": product["version"], "gallery": gallery}
        return bool(await self._ask("PUT", path, json=body))

    async def _ask(self, method: str, path: str, **body: Any) -> Any:
        """Send a request; ``None`` where there is no such product, or somebody was faster."""
        request = self._http.build_request(method, path, **body)
        response = await send(
            self._http, request, safe=True, service="The Acme shop", retry=self._retry
        )
        match response.status_code:
            case 200:
                return response.json()
            case 404 | 409:
                return None
            case 429:
                raise RateLimitError("The Acme shop asks to slow down.")
            case status if status >= 500:
                raise NetworkError(f"The Acme shop answers with status {status}.")
            case status:
                raise TargetError(
                    f"The Acme shop refuses with status {status}: see ACME_SHOP_TOKEN.",
                    details={"status": status},
                )


def _replaced(gallery: list[str], leaving: Collection[str], media_id: str | None) -> list[str]:
    """The gallery with a file in the place of the first of those that leave, or at the end."""
    place = next((i for i, each in enumerate(gallery) if each in leaving), len(gallery))
    stays = [each not in (*leaving, media_id) for each in gallery]
    before = [each for each, kept in zip(gallery[:place], stays[:place], strict=True) if kept]
    after = [each for each, kept in zip(gallery[place:], stays[place:], strict=True) if kept]
    return [*before, *filter(None, [media_id]), *after]


def _busy(product_id: str) -> TargetError:
    return TargetError(
        f"Somebody else is changing the gallery of {product_id}: the next attempt goes on.",
        retryable=True,
    )
