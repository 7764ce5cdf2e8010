"""Simulator of 3JMS: a shelf of photos to poll, and a hand that pushes signed webhooks.

3JMS has no public interface; what is served here is Photopipe's own contract with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

import httpx
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.clock import Clock, iso
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.traffic import Traffic

MAX_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class ShelfPhoto:
    """A photo that 3JMS has.

    Args:
        id: Names its file.
        sku: The product's SKU.
        data: The file.
        content_type: What its download says it is.
        sha256: What 3JMS claims: lower-case hex, true unless it was told to lie.
        taken_at: When the photo was taken.
        updated_at: When 3JMS got it; polling goes by this.
    """

    id: str
    sku: str
    data: bytes = field(repr=False)
    content_type: str
    sha256: str
    taken_at: datetime
    updated_at: datetime

    def url(self, base: str) -> str:
        """Where the file is, given the simulator's base URL."""
        return f"{base}/files/{self.id}.jpg"


class Shelf:
    """The photos of 3JMS."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Empty the shelf."""
        with self._lock:
            self._ids = count(1)
            self._photos: dict[str, ShelfPhoto] = {}

    def add(
        self,
        sku: str,
        data: bytes,
        content_type: str = "image/jpeg",
        *,
        taken_at: datetime | None = None,
        updated_at: datetime | None = None,
        claimed_sha256: str | None = None,
    ) -> ShelfPhoto:
        """Put a photo on the shelf.

        Args:
            sku: The product's SKU.
            data: The file.
            content_type: What its download will say it is.
            taken_at: Now where not given.
            updated_at: Now where not given.
            claimed_sha256: What to say instead of the true digest.
        """
        now = self._clock.now()
        with self._lock:
            photo = ShelfPhoto(
                id=f"{next(self._ids):06d}",
                sku=sku,
                data=data,
                content_type=content_type,
                sha256=claimed_sha256 or hashlib.sha256(data).hexdigest(),
                taken_at=taken_at or now,
                updated_at=updated_at or now,
            )
            self._photos[photo.id] = photo
        return photo

    def get(self, photo_id: str) -> ShelfPhoto | None:
        """One photo."""
        with self._lock:
            return self._photos.get(photo_id)

    def photos(self, since: datetime | None = None) -> list[ShelfPhoto]:
        """Photos in order of `updated_at`, from ``since`` on (inclusive)."""
        with self._lock:
            found = [
                photo for photo in self._photos.values() if not since or photo.updated_at >= since
            ]
        return sorted(found, key=lambda photo: (photo.updated_at, photo.id))


def router(shelf: Shelf, traffic: Traffic, config: SandboxConfig) -> APIRouter:
    """The routes under ``/threejms``; each goes by its name in ``faults.toml``."""
    routes = APIRouter(route_class=traffic.route_class())

    @routes.get("/photos", name="threejms.photos")
    async def photos(request: Request) -> Response:
        expected = f"{config.threejms_auth_scheme} {config.threejms_key}"
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            headers = {"www-authenticate": config.threejms_auth_scheme}
            return _detail(401, "Invalid token.", headers)
        return _page(request, shelf)

    @routes.get("/files/{name}", name="threejms.files")
    async def file(name: str) -> Response:
        photo = shelf.get(name.removesuffix(".jpg"))
        if photo is None:
            return _detail(404, "Not found.")
        return Response(photo.data, media_type=photo.content_type)

    return routes


def _page(request: Request, shelf: Shelf) -> Response:
    query = request.query_params
    try:
        since = _moment(query["since"]) if "since" in query else None
        number = int(query.get("page", "1"))
        size = int(query.get("page_size", "100"))
    except ValueError:
        return _detail(400, "since is ISO 8601 with an offset; page and page_size are integers.")
    if number < 1 or not 1 <= size <= MAX_PAGE_SIZE:
        return _detail(400, f"page is 1 or more, page_size is 1 to {MAX_PAGE_SIZE}.")
    found = shelf.photos(since)
    start = (number - 1) * size
    if start and start >= len(found):
        return _detail(404, "Invalid page.")
    more = start + size < len(found)
    following = str(request.url.include_query_params(page=number + 1)) if more else None
    base = str(request.base_url) + "threejms"
    results = [
        {
            "sku": photo.sku,
            "url": photo.url(base),
            "sha256": photo.sha256,
            "taken_at": iso(photo.taken_at),
            "updated_at": iso(photo.updated_at),
        }
        for photo in found[start : start + size]
    ]
    return JSONResponse({"results": results, "next": following})


def _moment(text: str) -> datetime:
    # A plus that was not escaped arrives as a space.
    when = datetime.fromisoformat(re.sub(r" (?=\d\d:\d\d$)", "+", text))
    if when.tzinfo is None:
        raise ValueError("no offset")
    return when.astimezone(UTC)


def _detail(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": text}, status_code=status, headers=headers)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one webhook: its photo and the HTTP status, or 0 if nobody answered."""

    photo_id: str
    status: int


def signature(body: bytes, secret: str) -> str:
    """Value of ``X-3JMS-Signature`` for a raw body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def push(
    photos: Sequence[ShelfPhoto],
    target: str,
    *,
    base: str,
    config: SandboxConfig,
    theme: str | None = None,
    event: str = "image.created",
) -> list[Delivery]:
    """Send a signed webhook for each photo, one after another.

    Args:
        target: URL of the receiver.
        base: Base URL of this simulator, with which the photos' URLs begin.
        theme: Our optional field ``theme``.
    """

    async def deliver(client: httpx.AsyncClient, photo: ShelfPhoto) -> Delivery:
        content = {
            "event": event,
            "sku": photo.sku,
            "imageUrl": photo.url(base),
            "sha256": photo.sha256,
            "takenAt": iso(photo.taken_at),
        }
        if theme is not None:
            content["theme"] = theme
        body = json.dumps(content).encode()
        headers = {
            "content-type": "application/json",
            "x-3jms-signature": signature(body, config.webhook_secret),
        }
        try:
            answer = await client.post(target, content=body, headers=headers)
        except httpx.HTTPError:
            return Delivery(photo.id, 0)
        return Delivery(photo.id, answer.status_code)

    async with httpx.AsyncClient(
        transport=config.transport, trust_env=False, timeout=10.0
    ) as client:
        return [await deliver(client, photo) for photo in photos]
