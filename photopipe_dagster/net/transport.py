"""How requests of httpx get to the network: through aiohttp, whose parser is written in C.

A photo takes some fifteen requests. This transport halves their CPU time; what that is worth, and
why a library that does the same is not used, is measured in docs/decisions/005-http-transport.md.

What matters more than speed is what an error says. A paid request may be repeated only if it
certainly did not arrive, so only errors of connecting become `httpx.ConnectError` and
`httpx.ConnectTimeout`. All others are what httpx's own transport raises once bytes may have left.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from yarl import URL

_LONGEST_HEADER: Final = 64 * 1024
"""Bytes. Signed URLs in redirects are longer than aiohttp's 8 kB."""

_SKIPPED: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
"""Headers that aiohttp would add: httpx has added its own."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends the requests of one client. It opens connections when first used, in that event loop.

    Each request is sent once, whatever its verb: aiohttp would repeat some of them by itself.

    Args:
        verify: The TLS context.
        limits: Connections at once, and how long one that rests is kept; none is kept where
            ``max_keepalive_connections`` is 0.
        proxies: Whether the proxies of the environment are used (HTTPS_PROXY, NO_PROXY …).
    """

    def __init__(
        self, *, verify: ssl.SSLContext, limits: httpx.Limits, proxies: bool = True
    ) -> None:
        self._verify = verify
        self._limits = limits
        self._proxies = getproxies() if proxies else {}
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer's body is still to be read.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: It did not arrive.
            httpx.TransportError: It may have arrived.
        """
        if self._session is None:
            self._session = self._new_session()
        body = await request.aread()
        headers = [
            (name.decode("ascii"), value.decode("latin-1"))
            for name, value in request.headers.raw
            if name.lower() != b"transfer-encoding"  # the body is whole: its length is known
        ]
        timeouts = request.extensions.get("timeout", {})
        with _as_httpx(request):
            async with asyncio.timeout(_unanswered_for(timeouts)):
                response = await self._session.request(
                    request.method,
                    _url(request.url),
                    headers=headers,
                    skip_auto_headers=_SKIPPED,
                    data=io.BytesIO(body) if body else None,
                    allow_redirects=False,
                    timeout=_timeout(timeouts),
                    server_hostname=request.extensions.get("sni_hostname"),
                    proxy=self._proxy(request.url),
                    middlewares=(_once(request),),
                )
        return httpx.Response(
            response.status,
            headers=list(response.raw_headers),
            stream=_Body(response, request, timeouts.get("read")),
            request=request,
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": (response.reason or "").encode("latin-1", "replace"),
            },
        )

    async def aclose(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        kept = self._limits.max_keepalive_connections != 0
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._verify,
                limit=self._limits.max_connections or 0,
                force_close=not kept,
                keepalive_timeout=self._limits.keepalive_expiry if kept else None,
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )

    def _proxy(self, url: httpx.URL) -> str | None:
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        return None if proxy is None or proxy_bypass(url.host) else proxy


class _Body(httpx.AsyncByteStream):
    """What is still to be read of an answer.

    Args:
        timeouts: Seconds for each part of it. Where the framing of the parts is broken, aiohttp
            stops listening and tells nobody.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, request: httpx.Request, timeouts: float | None
    ) -> None:
        self._response = response
        self._request = request
        self._read_timeout = timeouts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._read():
            yield chunk

    async def _read(self) -> bytes:
        with _as_httpx(self._request):
            async with asyncio.timeout(self._read_timeout):
                return await self._response.content.readany()

    async def aclose(self) -> None:
        """Give the connection back, or close it if there is more to read."""
        self._response.close()


def _once(request: httpx.Request) -> aiohttp.ClientMiddlewareType:
    """Keeps aiohttp from sending a request again: it does so only upon errors of its own."""

    async def send(
        sent: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        with _as_httpx(request):
            return await handler(sent)

    return send


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """Raise httpx's exceptions instead of aiohttp's.

    The order counts: many of aiohttp's are several things at once. They do not go with it as the
    cause, since their messages have the whole URL.
    """
    try:
        yield
    except aiohttp.ConnectionTimeoutError:
        raise httpx.ConnectTimeout("no connection in time", request=request) from None
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(f"no connection ({error.os_error})", request=request) from None
    except aiohttp.ClientHttpProxyError as error:
        raise httpx.ProxyError(f"the proxy answered {error.status}", request=request) from None
    except TimeoutError:
        raise httpx.ReadTimeout("no answer in time", request=request) from None
    except aiohttp.InvalidURL:
        raise httpx.UnsupportedProtocol("no URL to connect to", request=request) from None
    except UnicodeError:  # before the name is looked up
        raise httpx.ConnectError("the host is no host name", request=request) from None
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
        raise httpx.RemoteProtocolError("the answer broke off", request=request) from None
    except (aiohttp.ClientConnectionError, OSError) as error:
        message = f"the connection broke ({type(error).__name__})"
        raise httpx.ReadError(message, request=request) from None
    except aiohttp.ClientError as error:
        message = f"the answer is no HTTP ({type(error).__name__})"
        raise httpx.RemoteProtocolError(message, request=request) from None


def _url(url: httpx.URL) -> URL:
    """aiohttp's URL. User and password go without: httpx has made a header of them."""
    return URL(str(url.copy_with(userinfo=b"") if url.userinfo else url), encoded=True)


def _timeout(timeouts: dict[str, float | None]) -> aiohttp.ClientTimeout:
    """aiohttp's words for httpx's timeouts, in seconds."""
    connect = timeouts.get("connect")
    return aiohttp.ClientTimeout(
        total=None,
        connect=_sum(connect, timeouts.get("pool")),  # waiting for a free one included
        sock_connect=connect,
        sock_read=timeouts.get("read"),
    )


def _unanswered_for(timeouts: dict[str, float | None]) -> float | None:
    """Seconds until the head of an answer, from all parts; aiohttp has no limit for writing."""
    return _sum(*(timeouts.get(part) for part in ("pool", "connect", "write", "read")))


def _sum(*seconds: float | None) -> float | None:
    """``None`` is for ever."""
    known = [each for each in seconds if each is not None]
    return sum(known) if len(known) == len(seconds) else None
