"""How the simulators fetch pictures that they are given by URL."""

from __future__ import annotations

import httpx

from photopipe_dagster.net.client import direct_network


class UnreachableError(Exception):
    """A URL gave no picture's bytes."""


async def download(
    url: str, *, max_bytes: int, transport: httpx.AsyncBaseTransport | None = None
) -> bytes:
    """Fetch a URL, redirects followed.

    Raises:
        UnreachableError: It is no http(s) URL, nobody answers, the answer is no 200, or it is
            longer than ``max_bytes``.
    """
    if not url.startswith(("http://", "https://")):
        raise UnreachableError("not an http(s) URL")
    try:
        async with (
            httpx.AsyncClient(
                transport=transport or direct_network(),
                follow_redirects=True,
                timeout=20.0,
            ) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                raise UnreachableError(f"HTTP {response.status_code}")
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > max_bytes:
                    raise UnreachableError(f"more than {max_bytes} bytes")
            return bytes(data)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(type(error).__name__) from error
