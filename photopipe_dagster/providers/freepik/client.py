"""Freepik's API, as far as it is needed, with typed answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from photopipe_dagster.core.errors import ErrorCode, NetworkError, ProviderError
from photopipe_dagster.net.client import send
from photopipe_dagster.providers.base import ProviderContext
from photopipe_dagster.providers.freepik.models import (
    MysticAnswer,
    MysticList,
    MysticTask,
    RemovedBackground,
    UploadAnswer,
    UploadSlot,
)
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.remote.api import Api
from photopipe_dagster.providers.remote.errors import unanswered

REMOVE_BACKGROUND: Final = "/v1/ai/beta/remove-background"
MYSTIC: Final = "/v1/ai/mystic"
REQUEST_UPLOAD: Final = "/v1/ai/uploads/request-url"


class FreepikClient(Api):
    """One account. All requests count for the key's limit, looks at tasks included.

    Raises:
        ConfigurationError: The address is none, or the key is missing.
    """

    def __init__(self, own: FreepikSettings, context: ProviderContext) -> None:
        super().__init__(own, context, limited=frozenset({"GET", "POST"}))

    async def remove_background(self, image_url: str) -> RemovedBackground:
        """Buy a cut-out. Form-encoded; Freepik downloads the image and answers when it is done.

        Args:
            image_url: A JPEG or PNG of at most 20 MB that Freepik can reach; a secret.

        Raises:
            ProviderError, RateLimitError, NetworkError: See `errors`.
        """
        response = await self.ask(
            "POST",
            REMOVE_BACKGROUND,
            paid=True,
            code=ErrorCode.SEGMENTATION_ERROR,
            secret=image_url,
            data={"image_url": image_url},
        )
        return self.read(response, RemovedBackground, paid=True)

    async def create_mystic(self, fields: Mapping[str, Any]) -> MysticTask:
        """Buy a background, which is then in the making.

        Raises:
            ProviderError, RateLimitError, NetworkError: See `errors`.
        """
        response = await self.ask(
            "POST", MYSTIC, paid=True, code=ErrorCode.BACKGROUND_ERROR, json=dict(fields)
        )
        return self.read(response, MysticAnswer, paid=True).data

    async def mystic_task(self, task_id: str) -> MysticTask | None:
        """How far a background is, or ``None`` if Freepik knows no such task.

        Raises:
            ProviderError, RateLimitError: See `errors`.
        """
        response = await self.send("GET", f"{MYSTIC}/{quote(task_id, safe='')}")
        if response.status_code == 404:
            return None
        self.raise_refusal(response)
        return self.read(response, MysticAnswer).data

    async def mystic_tasks(self) -> tuple[MysticTask, ...]:
        """How all backgrounds stand that Freepik lists; it does not say how many that are.

        Raises:
            ProviderError, RateLimitError, NetworkError: See `errors`.
        """
        return self.read(await self.ask("GET", MYSTIC), MysticList).data

    async def upload(self, data: bytes, content_type: str) -> str:
        """Put a file where Freepik reads it, for nothing.

        Args:
            content_type: ``image/jpeg``, ``image/png`` or ``image/webp``.

        Returns:
            What to give as an image URL; valid for about a day. A secret.

        Raises:
            ProviderError, RateLimitError, NetworkError: Not uploaded, and nothing was billed.
        """
        body = {"files": [{"content_type": content_type}]}
        response = await self.ask("POST", REQUEST_UPLOAD, json=body)
        slot = self.read(response, UploadAnswer).files[0]
        await self._put(slot, data)
        return slot.asset_url

    async def _put(self, slot: UploadSlot, data: bytes) -> None:
        if not self.fetchable(slot.upload_url):
            raise ProviderError(
                "Freepik asked for an upload to an address that is not https; set FREEPIK_INPUT=url"
                " to let it download photos instead."
            )
        request = self.files.build_request(
            "PUT", slot.upload_url, content=data, headers=slot.headers
        )
        try:
            response = await send(
                self.files, request, safe=True, service="Freepik's upload", retry=self.retry
            )
        except NetworkError as error:
            raise unanswered(error, paid=False) from error
        if not response.is_success:
            status = response.status_code
            raise ProviderError(
                f"Freepik's upload host {request.url.host} answered {status} to a photo of "
                f"{len(data)} bytes. Nothing was bought; set FREEPIK_INPUT=url if this goes on.",
                details={"service": "Freepik's upload", "status": status},
                code=ErrorCode.RATE_LIMIT_ERROR if status == 429 else None,
                retryable=True,
            )
