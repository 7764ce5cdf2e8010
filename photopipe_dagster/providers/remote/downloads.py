"""Downloads a finished result: bounded, without the key, over at most a few redirects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from photopipe_dagster.core.errors import Billed, ErrorCode, NetworkError, ProviderError
from photopipe_dagster.net.client import TRANSIENT, Again, Retry

MAX_RESULT_BYTES: Final = 128 * 1024 * 1024
"""A cut-out has at most 25 megapixels, which as an incompressible PNG are 100 MB."""

MAX_REDIRECTS: Final = 3

GONE: Final = frozenset({400, 401, 403, 404, 410})
"""Answers of an address that does not exist, or no longer. Some object stores say 400 or 401 to a
signature that has expired."""


@dataclass(frozen=True, slots=True)
class Download:
    """What an address gave.

    Args:
        data: The bytes; ``None`` if it gives nothing (any more).
        denied: Whether it asked for credentials.
    """

    data: bytes | None = field(default=None, repr=False)
    denied: bool = False


@dataclass(frozen=True, slots=True)
class _Reply:
    response: httpx.Response
    data: bytes = field(default=b"", repr=False)


async def download(
    client: httpx.AsyncClient,
    url: str,
    *,
    headers: Mapping[str, str],
    allowed: Callable[[str | httpx.URL], bool],
    retry: Retry,
    service: str,
) -> Download:
    """Download a result.

    Args:
        client: One without credentials.
        url: Where from; a secret: messages name its host only.
        headers: Sent to ``url`` itself, never to where it redirects.
        allowed: Whether an address may be asked at all.
        service: Whose result it is, for messages.

    Raises:
        NetworkError: No answer, after all retries.
        ProviderError: An error of the server after all retries, too many bytes, or an address
            that is not allowed.
    """
    # Signed addresses are long, and taking them apart takes time: once is enough.
    target = _parsed(url)
    for _ in range(MAX_REDIRECTS + 1):
        if target is None or not allowed(target):
            raise ProviderError(
                f"{service}'s result is on {host_of(target or url)}, which is not https, or not "
                "its own: it was not asked for.",
                billed=Billed.YES,
            )
        reply = await _get(client, target, headers, retry, service)
        status = reply.response.status_code
        if status == 200:
            return Download(reply.data)
        if status in GONE:
            return Download(denied=status in (401, 403))
        if reply.response.next_request is None:
            raise ProviderError(
                f"{service}'s result could not be fetched: {target.host} answered {status}.",
                billed=Billed.YES,
                details={"service": f"{service}'s results", "status": status},
                code=ErrorCode.RATE_LIMIT_ERROR if status == 429 else None,
                retryable=True,
            )
        target, headers = reply.response.next_request.url, {}
    raise ProviderError(
        f"{service}'s result could not be fetched: more than {MAX_REDIRECTS} redirects.",
        billed=Billed.YES,
        retryable=True,
    )


def _parsed(url: str) -> httpx.URL | None:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return None


def host_of(url: str | httpx.URL) -> str:
    """The host of an address, for messages."""
    try:
        return httpx.URL(url).host or "no host"
    except httpx.InvalidURL:
        return "no host"


async def _get(
    client: httpx.AsyncClient,
    url: httpx.URL,
    headers: Mapping[str, str],
    retry: Retry,
    service: str,
) -> _Reply:
    """Ask until there is an answer worth having; `http.send` would read without a bound."""
    host = url.host

    async def attempt(number: int) -> _Reply | Again[_Reply]:
        response = None
        try:
            async with client.stream("GET", url, headers=headers) as response:
                if response.status_code == 200:
                    return _Reply(response, await _bounded(response, host, service))
        except httpx.RequestError as error:
            failed = NetworkError(
                f"{service}'s result could not be fetched from {host} "
                f"({type(error).__name__}). Check that it is reachable.",
                details={"service": f"{service}'s results", "attempts": number},
            )
            failed.__cause__ = error
            return Again(failed, response)
        reply = _Reply(response)
        return Again(reply, response) if response.status_code in TRANSIENT else reply

    return await retry.run(attempt)


async def _bounded(response: httpx.Response, host: str, service: str) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > MAX_RESULT_BYTES:
            raise ProviderError(
                f"{service}'s result on {host} has more than {MAX_RESULT_BYTES} bytes; it was "
                "not taken.",
                billed=Billed.YES,
            )
    return bytes(data)
