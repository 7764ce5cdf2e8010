"""Talks to Freepik over HTTP and gives back typed answers.

Two HTTP clients, so that the key cannot stray: one has the key, the speed limit and Freepik's
address, and only calls the API; the other has none of these, and moves files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

import httpx

from photopipe_dagster.core.errors import ConfigurationError, ErrorCode, NetworkError, ProviderError
from photopipe_dagster.net.client import Retry, new_client, send
from photopipe_dagster.net.rate_limit import TokenBucket
from photopipe_dagster.providers.freepik.downloads import Download, download
from photopipe_dagster.providers.freepik.errors import read, refusal, unanswered
from photopipe_dagster.providers.freepik.models import (
    MysticAnswer,
    MysticList,
    MysticTask,
    RemovedBackground,
    UploadAnswer,
    UploadSlot,
)
from photopipe_dagster.providers.freepik.settings import FreepikSettings

REMOVE_BACKGROUND: Final = "/v1/ai/beta/remove-background"
MYSTIC: Final = "/v1/ai/mystic"
REQUEST_UPLOAD: Final = "/v1/ai/uploads/request-url"


class FreepikClient:
    """Freepik's API, as far as it is needed.

    Args:
        settings: Freepik's address and the organisation's key.
        limiter: Waited for before every request to the API, repeated ones included.
        transport: Replaces the network in tests.
        sleep: Waits between repeated requests.

    Raises:
        ConfigurationError: The base URL is none, or the key is missing.
    """

    def __init__(
        self,
        settings: FreepikSettings,
        *,
        limiter: TokenBucket,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._base = _base(settings.freepik_api_url)
        self._key = settings.key()
        self._key_header = {settings.freepik_api_key_header: self._key}
        self._retry = Retry(sleep=sleep)
        self._api = new_client(headers=self._key_header, transport=transport)
        self._files = new_client(transport=transport)

        async def wait_for_turn(_: httpx.Request) -> None:
            await limiter.acquire()

        # A hook rather than a call before `send`: repeated requests count too.
        self._api.event_hooks = {"request": [wait_for_turn]}

    @property
    def host(self) -> str:
        """Freepik's host, for messages and reprs."""
        return self._base.host

    async def remove_background(self, image_url: str) -> RemovedBackground:
        """Buy a cut-out. Form-encoded; Freepik downloads the image and answers when it is done.

        Args:
            image_url: A JPEG or PNG of at most 20 MB that Freepik can reach; a secret.

        Raises:
            ProviderError, RateLimitError, NetworkError: See `errors`.
        """
        request = self._api.build_request(
            "POST", self._at(REMOVE_BACKGROUND), data={"image_url": image_url}
        )
        response = await self._answer(
            request,
            paid=True,
            code=ErrorCode.SEGMENTATION_ERROR,
            secret=image_url,
        )
        return read(response, RemovedBackground, paid=True)

    async def create_mystic(self, fields: Mapping[str, Any]) -> MysticTask:
        """Buy a background, which is then in the making.

        Raises:
            ProviderError, RateLimitError, NetworkError: See `errors`.
        """
        request = self._api.build_request("POST", self._at(MYSTIC), json=dict(fields))
        response = await self._answer(request, paid=True, code=ErrorCode.BACKGROUND_ERROR)
        return read(response, MysticAnswer, paid=True).data

    async def mystic_task(self, task_id: str) -> MysticTask | None:
        """How far a background is, or ``None`` if Freepik knows no such task.

        Raises:
            ProviderError, RateLimitError: See `errors`.
        """
        request = self._api.build_request("GET", self._at(f"{MYSTIC}/{quote(task_id, safe='')}"))
        response = await self._send(request, paid=False)
        if response.status_code == 404:
            return None
        self._raise_refusal(response, paid=False, code=ErrorCode.API_ERROR)
        return read(response, MysticAnswer, paid=False).data

    async def mystic_tasks(self) -> tuple[MysticTask, ...]:
        """How all backgrounds stand that Freepik lists; it does not say how many that are.

        Raises:
            ProviderError, RateLimitError, NetworkError: See `errors`.
        """
        request = self._api.build_request("GET", self._at(MYSTIC))
        response = await self._answer(request, paid=False, code=ErrorCode.API_ERROR)
        return read(response, MysticList, paid=False).data

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
        request = self._api.build_request("POST", self._at(REQUEST_UPLOAD), json=body)
        response = await self._answer(request, paid=False, code=ErrorCode.API_ERROR)
        slot = read(response, UploadAnswer, paid=False).files[0]
        await self._put(slot, data)
        return slot.asset_url

    async def download(self, url: str) -> bytes | None:
        """The bytes of a finished result, or ``None`` if it is not available there (any more).

        Without the key: results lie at signed addresses of any host. Whether Freepik's own
        download address wants the key is not documented, so a refusal there is tried with it.

        Raises:
            ProviderError, NetworkError: No answer, an error of the server, or too many bytes.
        """
        found = await self._download(url, {})
        if found.denied and self._is_ours(url):
            found = await self._download(url, self._key_header)
        return found.data

    def fetchable(self, url: str | httpx.URL) -> bool:
        """Whether something may be downloaded from there: by https, or from a simulator itself."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            return False
        return bool(parsed.host) and (parsed.scheme == "https" or self._is_ours(url))

    async def aclose(self) -> None:
        """Close connections."""
        try:
            await self._api.aclose()
        finally:
            await self._files.aclose()

    async def _put(self, slot: UploadSlot, data: bytes) -> None:
        if not self.fetchable(slot.upload_url):
            raise ProviderError(
                "Freepik asked for an upload to an address that is not https; set FREEPIK_INPUT=url"
                " to let it download photos instead."
            )
        request = self._files.build_request(
            "PUT", slot.upload_url, content=data, headers=slot.headers
        )
        try:
            response = await send(
                self._files, request, safe=True, service="Freepik's upload", retry=self._retry
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

    async def _answer(
        self, request: httpx.Request, *, paid: bool, code: ErrorCode, secret: str = ""
    ) -> httpx.Response:
        """Send, and come back with a 2xx answer only."""
        response = await self._send(request, paid=paid)
        self._raise_refusal(response, paid=paid, code=code, secret=secret)
        return response

    async def _send(self, request: httpx.Request, *, paid: bool) -> httpx.Response:
        try:
            return await send(
                self._api, request, safe=not paid, service="Freepik", retry=self._retry
            )
        except NetworkError as error:
            if not error.sent:
                raise
            raise unanswered(error, paid=paid) from error
        except httpx.RequestError as error:  # such as an answer that cannot be decompressed
            silent = NetworkError(
                f"Freepik's answer could not be read ({type(error).__name__}).",
                details={"service": "Freepik"},
            )
            raise unanswered(silent, paid=paid) from error

    def _raise_refusal(
        self,
        response: httpx.Response,
        *,
        paid: bool,
        code: ErrorCode,
        secret: str = "",
    ) -> None:
        if not response.is_success:
            hidden = (self._key, *(_spellings(secret) if secret else ()))
            raise refusal(response, paid=paid, code=code, secrets=hidden)

    async def _download(self, url: str, headers: Mapping[str, str]) -> Download:
        return await download(
            self._files, url, headers=headers, allowed=self.fetchable, retry=self._retry
        )

    def _at(self, path: str) -> httpx.URL:
        """Where an endpoint of the API is."""
        return self._base.copy_with(path=self._base.path.rstrip("/") + path)

    def _is_ours(self, url: str | httpx.URL) -> bool:
        parsed = httpx.URL(url)
        return (parsed.scheme, parsed.netloc) == (self._base.scheme, self._base.netloc)


def _base(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"FREEPIK_API_URL is no URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError("FREEPIK_API_URL must be like https://api.magnific.com.")
    return parsed


def _spellings(url: str) -> tuple[str, ...]:
    """How an answer might repeat a signed URL: whole, encoded, or its query alone."""
    query = httpx.URL(url).query.decode()
    return (url, quote(url, safe=""), quote_plus(url), query)
