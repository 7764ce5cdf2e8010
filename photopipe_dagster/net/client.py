"""How Photopipe calls other services: one client, named timeouts, retries that know the verb.

A request that may have reached a service is repeated only where repeating is harmless (`safe`).
A paid or publishing request is repeated only if it certainly did not arrive, or was answered by
429 or 503 (refused before anything happened).
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final, Generic, TypeVar

import httpx

from photopipe_dagster.core.errors import NetworkError
from photopipe_dagster.net.transport import AiohttpTransport

TIMEOUT: Final = httpx.Timeout(connect=5.0, read=60.0, write=60.0, pool=30.0)
"""Seconds. To connect to one address takes at most 5; with looking its name up, other addresses and
waiting for a free connection, 35. Cut-outs answer within 3 to 20."""

REFUSED: Final = frozenset({429, 503})
"""Statuses that say: not now, and nothing was done."""

TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which a request without effects may be repeated."""

_LIMITS: Final = httpx.Limits(max_connections=128, keepalive_expiry=2.0)
"""Connections that rest are given up long before a server does so (uvicorn: after 5 s): a request
that meets a connection just closed may or may not have arrived.
"""

_NOTHING_KEPT: Final = httpx.Limits(max_connections=64, max_keepalive_connections=0)

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Again(Generic[Answer]):
    """One attempt failed in a way that another one may fix.

    Args:
        last: What the caller gets if no attempt is left: an answer, or an error to be raised.
        response: What may say how long to wait.
    """

    last: Answer | Exception
    response: httpx.Response | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long to try: full-jitter exponential backoff, or what Retry-After says.

    Args:
        attempts: Requests at most, the first included.
        base_seconds: Upper bound of the first wait; doubles each time.
        cap_seconds: Upper bound of every wait, Retry-After included.
        sleep: Waits; tests pass their own.
    """

    attempts: int = 4
    base_seconds: float = 0.5
    cap_seconds: float = 30.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def wait(self, attempt: int, response: httpx.Response | None) -> float:
        """Seconds to wait after attempt number ``attempt`` (from 0)."""
        asked = retry_after(response) if response is not None else None
        if asked is not None:
            return min(asked, self.cap_seconds)
        return random.uniform(0, min(self.cap_seconds, self.base_seconds * 2**attempt))

    async def run(self, attempt: Callable[[int], Awaitable[Answer | Again[Answer]]]) -> Answer:
        """Attempt something until it gives an answer, or no attempt is left.

        Args:
            attempt: Is given its number, from 1. Only what it returns as `Again` is repeated; an
                exception ends it.

        Raises:
            Exception: What the last attempt says is to be raised.
        """
        number = 1
        while isinstance(outcome := await attempt(number), Again) and number < self.attempts:
            await self.sleep(self.wait(number - 1, outcome.response))
            number += 1
        if not isinstance(outcome, Again):
            return outcome
        if isinstance(outcome.last, Exception):
            raise outcome.last
        return outcome.last


@cache
def tls() -> ssl.SSLContext:
    """This process's TLS context. Reading the certificates takes 40 ms: once, not once a client."""
    return httpx.create_ssl_context()


def network() -> AiohttpTransport:
    """The way to other services: TLS, the proxies of the environment, connections kept for a while.

    Each client has one of its own.
    """
    return AiohttpTransport(verify=tls(), limits=_LIMITS)


def direct_network() -> AiohttpTransport:
    """The way to the very host of a request: no proxy, and a new connection each time."""
    return AiohttpTransport(verify=tls(), limits=_NOTHING_KEPT, proxies=False)


class _NoCookies(httpx.Cookies):
    """Keeps none. httpx would look through each answer for some: a tenth of what it takes."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave what an answer sets alone."""


class _Client(httpx.AsyncClient):
    @property  # type: ignore[misc]  # nobody sets some
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES


_NO_COOKIES: Final = _NoCookies()


def new_client(
    *,
    base_url: str = "",
    headers: dict[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """An HTTP client with our timeouts; never follows redirects by itself, and keeps no cookies.

    Args:
        transport: Replaces the network in tests.
    """
    hide_queries()
    return _Client(
        base_url=base_url,
        headers=headers,
        timeout=TIMEOUT,
        transport=transport or network(),
        follow_redirects=False,
        event_hooks={"response": [_check_redirect]},
    )


async def _check_redirect(response: httpx.Response) -> None:
    """Refuse a redirect that httpx fails at: it prepares the next request even if nobody asks."""
    if not response.has_redirect_location:
        return
    origin = response.request.url
    try:
        location = httpx.URL(response.headers["location"])
        if location.scheme and not location.host:
            location = location.copy_with(host=origin.host)
        named = origin.join(location).host
    except (httpx.InvalidURL, ValueError):  # a host that is no name is a UnicodeError
        named = ""
    if not named:
        raise httpx.RemoteProtocolError("it redirects to no URL", request=response.request)


async def send(
    client: httpx.AsyncClient,
    request: httpx.Request,
    *,
    safe: bool,
    service: str,
    retry: Retry | None = None,
) -> httpx.Response:
    """Send a request, read the whole answer, and repeat it where that is right.

    Args:
        safe: Whether repeating is harmless (no charge, no second object).
        service: Name for messages, such as ``Shopify``.

    Returns:
        The last response, whatever its status; the caller knows what it means.

    Raises:
        NetworkError: No answer; its ``sent`` says whether the request may have arrived.
    """
    statuses = TRANSIENT if safe else REFUSED

    async def attempt(number: int) -> httpx.Response | Again[httpx.Response]:
        try:
            response = await client.send(request)
        except (httpx.TransportError, httpx.DecodingError) as error:
            unanswered = NetworkError(
                f"{service} did not answer {request.method} {public(request.url)} "
                f"({type(error).__name__}). Check that it is up and reachable.",
                sent=not isinstance(error, _NOT_SENT),
                details={"service": service, "attempts": number},
            )
            if unanswered.sent and not safe:
                raise unanswered from error
            unanswered.__cause__ = error
            return Again(unanswered)
        return Again(response, response) if response.status_code in statuses else response

    return await (retry or Retry()).run(attempt)


class _PublicUrls(logging.Filter):
    """Shortens the URLs among a record's arguments to what can be shown."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                public(value) if isinstance(value, httpx.URL) else value for value in record.args
            )
        return True


_PUBLIC_URLS = _PublicUrls()


def hide_queries() -> None:
    """Make httpx log URLs without user, query and fragment. Calling it again changes nothing.

    httpx writes every request at level INFO with its whole URL (`httpx/_client.py`, "HTTP
    Request:"); signed URLs are secrets, and Dagster may be told to keep that log.
    """
    logging.getLogger("httpx").addFilter(_PUBLIC_URLS)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that a response asks to wait, from Retry-After in either form (RFC 9110 10.2.3)."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def public(url: httpx.URL | str) -> str:
    """A URL that can be shown: without user, query and fragment, where signatures live."""
    parsed = httpx.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}{parsed.path}"
