"""What is on an Acme shelf.

A shelf lists its photos in pages until each is taken. It knows no digests, so Photopipe fetches a
photo as soon as it is listed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from acme_shelf.settings import ShelfSettings
from photopipe_dagster.core.errors import (
    ConfigurationError,
    NetworkError,
    PhotoRejectedError,
    RateLimitError,
)
from photopipe_dagster.net.client import new_client, send
from photopipe_dagster.sources.base import Announcement, Malformed, PhotoSource, SourceContext
from photopipe_dagster.sources.redaction import without_secrets

SCHEME = "acme-shelf"


class ShelfSource(PhotoSource):
    """One shelf."""

    def __init__(self, context: SourceContext) -> None:
        own = context.settings.of(ShelfSettings)
        if not own.acme_shelf_url or not own.acme_shelf_key:
            raise ConfigurationError("ACME_SHELF_URL and ACME_SHELF_KEY must be set.")
        headers = {"Authorization": own.acme_shelf_key.get_secret_value()}
        self._http = new_client(
            base_url=own.acme_shelf_url, headers=headers, transport=context.transport
        )

    async def list_since(
        self, moment: datetime | None
    ) -> AsyncIterator[list[Announcement | Malformed]]:
        """All that nobody has taken, whenever it came."""
        path = "/photos"
        while path:
            answer = await self._ask("GET", path)
            try:
                page = answer.json()
            except ValueError:
                raise NetworkError("The Acme shelf does not answer with JSON.") from None
            yield [_read(entry) for entry in page["photos"]]
            path = page["next"]

    async def fetch(self, ref: str) -> bytes:
        """A photo's file."""
        return (await self._ask("GET", _path(ref))).content

    async def acknowledge(self, announcement: Announcement) -> None:
        """Take the photo from the shelf: it is not listed any more."""
        await self._ask("PUT", f"{_path(announcement.ref)}/taken")

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str) -> httpx.Response:
        request = self._http.build_request(method, path)
        response = await send(self._http, request, safe=True, service="The Acme shelf")
        match response.status_code:
            case 200:
                return response
            case 401:
                raise ConfigurationError("The Acme shelf refuses the key: set ACME_SHELF_KEY.")
            case 404:
                raise PhotoRejectedError(
                    "The photo is not on the Acme shelf any more: put it there again."
                )
            case 429:
                raise RateLimitError("The Acme shelf asks to slow down: raise ACME_SHELF_SECONDS.")
            case status:
                raise NetworkError(f"The Acme shelf answers with status {status}.")


def _path(ref: str) -> str:
    return f"/photos/{quote(ref.partition(':')[2], safe='')}"


def _read(entry: Any) -> Announcement | Malformed:
    match entry:
        case {"sku": str(sku), "id": str(photo), "changed": str(changed)}:
            updated_at = datetime.fromisoformat(changed)
            return Announcement(sku, f"{SCHEME}:{photo}", updated_at=updated_at)
    return Malformed("sku, id or changed is missing", without_secrets(entry))
