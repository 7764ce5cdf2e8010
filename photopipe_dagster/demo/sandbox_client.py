"""Talks to the simulators behind the scenes: fills their shelves, and reads their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import httpx

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.sandbox.shopify.records import Category


class SandboxRequestError(PhotopipeError):
    """A simulator did not do what the demo asked of it."""


@dataclass(frozen=True, slots=True)
class SandboxRecords:
    """What the simulators know to have happened; compared before and after.

    Args:
        polls: How often 3JMS was asked for its photos.
        charges: What simulators of providers charged, oldest first: for which job, and USD.
        files: Pictures in the shop's files: gid and name.
        media: Pictures on each product: gids in order, by the product's gid.
        made_in_shop: How many documents made a file.
    """

    polls: int
    charges: tuple[tuple[str, Decimal], ...]
    files: tuple[tuple[str, str], ...]
    media: Mapping[str, tuple[str, ...]]
    made_in_shop: int

    @property
    def billed_usd(self) -> Decimal:
        """Sum of the charges."""
        return sum((usd for _, usd in self.charges), Decimal(0))

    @property
    def published(self) -> int:
        """Pictures on products."""
        return sum(len(gids) for gids in self.media.values())


class SandboxClient(AbstractContextManager["SandboxClient"]):
    """The routes under ``/_sandbox``; close it, or use it in ``with``.

    Args:
        url: Base URL of the sandbox.
        transport: Replaces the network in tests.
    """

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/_sandbox", transport=transport, timeout=60.0, trust_env=False
        )

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def add_product(self, title: str, sku: str, category: Category | None = None) -> str:
        """Put a product with one variant into the shop, unless it has the SKU; returns its gid."""
        for each in self._get("shopify/products"):
            if any(variant["sku"] == sku for variant in each["variants"]):
                return str(each["id"])
        product: dict[str, Any] = {"title": title, "skus": [sku]}
        if category is not None:
            product["category"] = asdict(category)
        return str(self._post("shopify/products", json=product)["id"])

    def add_photo(self, sku: str, jpeg: bytes) -> str:
        """Put a photo on the shelf of 3JMS; returns its id there."""
        files = {"file": ("photo.jpg", jpeg, "image/jpeg")}
        return str(self._post("threejms/photos", data={"sku": sku}, files=files)["id"])

    def push(self, photo_ids: Sequence[str], target: str, theme: str | None = None) -> list[int]:
        """Let 3JMS push signed webhooks.

        Args:
            target: Where they go.
            theme: The optional field of the webhook.

        Returns:
            The HTTP status that answered each; 0 where nobody did.
        """
        order = {"photo_ids": list(photo_ids), "target": target, "theme": theme}
        return [int(one["status"]) for one in self._post("threejms/push", json=order)]

    def records(self) -> SandboxRecords:
        """Read all records."""
        requests = self._get("state")["requests"]
        charges = self._get("charges")["charges"]
        return SandboxRecords(
            polls=_count(requests, "threejms.photos"),
            charges=tuple((one["job"], Decimal(str(one["usd"]))) for one in charges),
            files=tuple((one["id"], one["filename"]) for one in self._get("shopify/files")),
            media={
                product["id"]: tuple(one["id"] for one in product["media"])
                for product in self._get("shopify/products")
            },
            made_in_shop=_count(requests, "shopify.fileCreate"),
        )

    def _get(self, path: str) -> Any:
        return self._read(self._http.get(f"/{path}"))

    def _post(self, path: str, **content: Any) -> Any:
        return self._read(self._http.post(f"/{path}", **content))

    @staticmethod
    def _read(response: httpx.Response) -> Any:
        if not response.is_success:
            raise SandboxRequestError(
                f"The sandbox answers {response.request.method} {response.request.url.path} with "
                f"{response.status_code}: {response.text[:300]}"
            )
        return response.json()


def _count(requests: Mapping[str, Mapping[str, int]], operation: str) -> int:
    return int(requests.get(operation, {}).get("requests", 0))
