"""A scripted Freepik behind httpx.MockTransport, a purchase that notes, and a time that flies."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from PIL import Image

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.base import BackgroundRequest, Original, ProviderContext
from photopipe_dagster.providers.freepik.provider import Provider as FreepikProvider
from photopipe_dagster.themes.builtin import THEMES

CANARY = "CANARY0123456789"
KEY = f"key-{CANARY}"
BASE = "https://api.magnific.com"
PHOTO_URL = f"https://bucket.s3.example/originals/a.jpg?X-Amz-Signature={CANARY}"
RESULT_URL = f"{BASE}/v1/ai/beta/images/download/x/high.png?token={CANARY}"
PICTURE_URL = f"https://cdn.example/picture.png?token=exp=1~hmac={CANARY}"

Reply = httpx.Response | Exception
Handler = Callable[[httpx.Request], Reply]


class FakeTime:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Service:
    """Answers each route with its replies in turn; the last one again and again."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.requests: list[httpx.Request] = []
        self.time = FakeTime()
        self._replies: dict[tuple[str, str], list[Reply | Handler]] = {}

    def on(self, method: str, url: str, *replies: Reply | Handler) -> None:
        self._replies[method, url.partition("?")[0]] = list(replies)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        url = str(request.url.copy_with(query=None))
        self.events.append(f"{request.method} {request.url.path}")
        replies = self._replies[request.method, url]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if callable(reply):
            reply = reply(request)
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def count(self, method: str, path: str | None = None) -> int:
        return sum(
            request.method == method and path in (None, request.url.path)
            for request in self.requests
        )

    def provider(
        self, *, transport: httpx.AsyncBaseTransport | None = None, **changed: Any
    ) -> FreepikProvider:
        """A provider with other settings of Freepik's, without the prefix."""
        given = {"price_background_2k_usd": "0.06", "requests_per_minute": 60_000, **changed}
        context = ProviderContext(
            freepik_settings(**{"api_url": BASE, "api_key": KEY, **given}),
            transport=transport or httpx.MockTransport(self),
            sleep=self.time.sleep,
            clock=self.time.clock,
        )
        return FreepikProvider(context)


def freepik_settings(**given: Any) -> Settings:
    """Settings with Freepik's, which are given without their prefix."""
    return Settings(_env_file=None, **{f"freepik_{name}": value for name, value in given.items()})


class NotedPurchase:
    def __init__(self, service: Service, reference: str | None = None) -> None:
        self._events = service.events
        self.reference = reference
        self.lost_since = None

    @asynccontextmanager
    async def released(self) -> AsyncIterator[None]:
        self._events.append("waits")
        yield
        self._events.append("goes on")

    async def submitted(self, reference: str) -> None:
        self._events.append("submitted")
        self.reference = reference


def picture(
    size: tuple[int, int] = (40, 30), kind: str = "PNG", mode: str = "RGBA", **options: Any
) -> bytes:
    """A picture whose upper left quarter is red and the rest blue, opaque."""
    image = Image.new("RGBA", size, (0, 0, 255, 255))
    image.paste((255, 0, 0, 255), (0, 0, size[0] // 2, size[1] // 2))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def original(
    data: bytes | None = None,
    content_type: str = "image/jpeg",
    size: tuple[int, int] = (40, 30),
    url: str = PHOTO_URL,
) -> Original:
    data = picture(size, "JPEG", "RGB") if data is None else data
    return Original(data, content_type, *size, signed_url=lambda: url)


def wanted(width: int = 1500, height: int = 1000) -> BackgroundRequest:
    return BackgroundRequest(THEMES["kitchen"], width, height, seed=7)


def cutout_urls(url: str = RESULT_URL) -> httpx.Response:
    return httpx.Response(
        200, json={"original": url, "high_resolution": url, "preview": url, "url": url}
    )


def task(status: str, *urls: str, nsfw: bool = False) -> httpx.Response:
    data: dict[str, Any] = {"task_id": "t-1", "status": status, "generated": list(urls)}
    if status == "COMPLETED":
        data["has_nsfw"] = [nsfw for _ in urls]
    return httpx.Response(200, json={"data": data})
