"""A Shopify that answers from a script, for what a strict simulator would never do by itself."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections import defaultdict
from typing import Any

import httpx
from PIL import Image

from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.models import Product
from photopipe_dagster.shopify.settings import ShopifySettings

TOKEN = "canary-token-7f3a"
UPLOAD_URL = "https://upload.example/bucket/"
RESOURCE_URL = "https://upload.example/bucket/tmp/1/picture.jpg?signature=canary-resource"
PRODUCT = Product(
    id="gid://shopify/Product/1",
    title="Mug",
    handle="mug",
    status="ACTIVE",
)
COST = {
    "requestedQueryCost": 10,
    "actualQueryCost": 10,
    "throttleStatus": {
        "maximumAvailable": 2000.0,
        "currentlyAvailable": 1990.0,
        "restoreRate": 100.0,
    },
}


class Time:
    """A clock that moves only by sleeping, and remembers each sleep (seconds)."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.has_slept = asyncio.Event()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.has_slept.set()
        self.now += seconds


def data(**fields: Any) -> dict[str, Any]:
    """A body that worked."""
    return {"data": fields, "extensions": {"cost": COST}}


def failed(code: str | None, message: str = "No.", **fields: Any) -> dict[str, Any]:
    """A body with an error, and data beside it if given."""
    error: dict[str, Any] = {"message": message}
    if code:
        error["extensions"] = {"code": code}
    return {"errors": [error], "data": fields or None}


def throttled(requested: float, available: float, rate: float = 50.0) -> dict[str, Any]:
    """HTTP 200, not executed."""
    return {
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {
            "cost": {
                "requestedQueryCost": requested,
                "actualQueryCost": None,
                "throttleStatus": {
                    "maximumAvailable": 1000.0,
                    "currentlyAvailable": available,
                    "restoreRate": rate,
                },
            }
        },
    }


class Shopify:
    """Answers each operation with the next answer of its script; the last one is repeated.

    An answer is a GraphQL body, an `httpx.Response`, an exception to raise, or a function of the
    request that gives one. Operations are the names in the documents (``FindVariants``), ``token``
    and ``upload``. While ``gate`` is not set, nothing is answered.
    """

    def __init__(self, **scripts: Any) -> None:
        self.scripts = {
            name: script if isinstance(script, list) else [script]
            for name, script in scripts.items()
        }
        self.requests: dict[str, list[httpx.Request]] = defaultdict(list)
        self.order: list[str] = []
        self.time = Time()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        name = self._name(request)
        self.order.append(name)
        self.requests[name].append(request)
        if name not in self.scripts:
            raise AssertionError(f"{name} was not expected; so far {self.order}")
        script = self.scripts[name]
        answer = script.pop(0) if len(script) > 1 else script[0]
        await self.gate.wait()
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=answer.content
            )
        return httpx.Response(200, json=answer, headers={"X-Shopify-API-Version": "2026-10"})

    @staticmethod
    def _name(request: httpx.Request) -> str:
        if request.url.path.endswith("/oauth/access_token"):
            return "token"
        if request.url.host == "upload.example":
            return "upload"
        text = json.loads(request.content)["query"]
        found = re.match(r"(?:query|mutation) (\w+)", text)
        assert found, text
        return found.group(1)

    def client(self, **settings: object) -> ShopifyClient:
        given = {"shopify_store": "shop.myshopify.com", "shopify_access_token": TOKEN} | settings
        return ShopifyClient(
            ShopifySettings(_env_file=None, **given),
            transport=httpx.MockTransport(self),
            sleep=self.time.sleep,
            clock=self.time.clock,
        )

    def variables(self, name: str, which: int = -1) -> dict[str, Any]:
        """What an operation was sent."""
        variables: dict[str, Any] = json.loads(self.requests[name][which].content)["variables"]
        return variables

    def count(self, name: str) -> int:
        return len(self.requests[name])


class Book:
    """A `MediaRecord` in memory that tells when it was written."""

    def __init__(
        self,
        shopify: Shopify | None = None,
        media_id: str | None = None,
        earlier: tuple[str, ...] = (),
    ) -> None:
        self._shopify = shopify
        self._media_id = media_id
        self._earlier = earlier
        self.kept: list[str] = []
        self.replaces: str | None = None

    @property
    def media_id(self) -> str | None:
        return self._media_id

    def earlier(self, product_id: str) -> tuple[str, ...]:
        return self._earlier

    async def replacing(self, media_id: str | None) -> None:
        if self._shopify:
            self._shopify.order.append("replacing")
        self.replaces = media_id

    async def created(self, media_id: str) -> None:
        if self._shopify:
            self._shopify.order.append("kept")
        self._media_id = media_id
        self.kept.append(media_id)


def variant(
    number: int, sku: str | None, product: int = 1, status: str = "ACTIVE"
) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/ProductVariant/{number}",
        "sku": sku,
        "product": {
            "id": f"gid://shopify/Product/{product}",
            "title": f"Product {product}",
            "handle": f"product-{product}",
            "status": status,
        },
    }


def page(*nodes: Any, more: str | None = None) -> dict[str, Any]:
    return {"nodes": list(nodes), "pageInfo": {"hasNextPage": bool(more), "endCursor": more}}


def image(
    number: int,
    status: str = "READY",
    name: str | None = "picture.jpg",
    *,
    original: str | None = None,
    codes: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A MediaImage node; without ``name`` its image is null."""
    url = f"https://cdn.example/s/files/1/{name}?v=17" if name else None
    return {
        "__typename": "MediaImage",
        "id": f"gid://shopify/MediaImage/{number}",
        "alt": "A mug",
        "fileStatus": status,
        "image": {"url": url} if url else None,
        "originalSource": {"url": original} if original else None,
        "preview": None,
        "mediaErrors": [{"code": code, "details": None, "message": f"{code}!"} for code in codes],
        "fileErrors": [],
    }


def jpeg(width: int = 64, height: int = 48) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "JPEG")
    return file.getvalue()
