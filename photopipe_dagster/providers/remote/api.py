"""Talks to a service over HTTP, and says what its answers mean.

Two HTTP clients, so that the key cannot stray: one has the key, the speed limit and the service's
address, and only calls the API; the other has none of these, and moves files.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import httpx
from pydantic import BaseModel

from photopipe_dagster.core.errors import (
    Billed,
    ConfigurationError,
    ErrorCode,
    JobError,
    NetworkError,
    ProviderError,
)
from photopipe_dagster.net.client import Retry, new_client, send
from photopipe_dagster.net.rate_limit import TokenBucket, shared_bucket
from photopipe_dagster.providers.base import ProviderContext
from photopipe_dagster.providers.remote.downloads import Download, download
from photopipe_dagster.providers.remote.errors import Answers, unanswered
from photopipe_dagster.providers.remote.settings import RemoteSettings

Model = TypeVar("Model", bound=BaseModel)


class Api:
    """One account of a service.

    Args:
        own: The service's settings.
        context: The network and the time.
        answers: What its answers mean, where it has words of its own.
        hosts: Whether results may be fetched from a host; any by https where not given.
        limited: Methods of the requests that wait for their turn, repeated ones included.

    Raises:
        ConfigurationError: The address is none, or the key is missing.
    """

    def __init__(
        self,
        own: RemoteSettings,
        context: ProviderContext,
        *,
        answers: Answers | None = None,
        hosts: Callable[[str], bool] = lambda _: True,
        limited: frozenset[str] = frozenset({"POST"}),
    ) -> None:
        self.answers = answers or Answers(own)
        self.base = _base(own)
        self._own = own
        self._hosts = hosts
        self.retry = Retry(sleep=context.sleep)
        share = own.value(own.rate_name) / context.settings.worker_processes
        self._limiter = (
            shared_bucket(f"{own.prefix} {own.url()}", share)
            if context.in_real_time
            else TokenBucket.per_minute(share, clock=context.clock, sleep=context.sleep)
        )
        self._limited = limited
        self.http = new_client(headers=own.headers(), transport=context.transport)
        self.files = new_client(transport=context.transport)
        # A hook rather than a call before `send`: repeated requests count too.
        self.http.event_hooks = {**self.http.event_hooks, "request": [self._wait_for_turn]}

    async def _wait_for_turn(self, request: httpx.Request) -> None:
        if request.method in self._limited:
            await self._limiter.acquire()

    async def aclose(self) -> None:
        """Close connections."""
        try:
            await self.http.aclose()
        finally:
            await self.files.aclose()

    async def send(
        self, method: str, path: str, *, paid: bool = False, **options: Any
    ) -> httpx.Response:
        """Send a request, and come back with whatever the answer is.

        Args:
            path: After the address, or a whole URL.
            paid: Whether it costs money if it is carried out: it is not repeated then.

        Raises:
            ProviderError: No answer, and the request may have arrived.
            NetworkError: It did not arrive.
        """
        url = path if "://" in path else self.base.copy_with(path=self.base.path.rstrip("/") + path)
        request = self.http.build_request(method, url, **options)
        service = self._own.service
        try:
            return await send(self.http, request, safe=not paid, service=service, retry=self.retry)
        except NetworkError as error:
            if not error.sent:
                raise
            raise unanswered(error, paid=paid) from error
        except httpx.RequestError as error:  # such as an answer that cannot be decompressed
            silent = NetworkError(
                f"{service}'s answer could not be read ({type(error).__name__}).",
                details={"service": service},
            )
            raise unanswered(silent, paid=paid) from error

    async def ask(
        self,
        method: str,
        path: str,
        *,
        paid: bool = False,
        code: ErrorCode = ErrorCode.API_ERROR,
        secret: str = "",
        **options: Any,
    ) -> httpx.Response:
        """Send a request, and come back with a 2xx answer only.

        Args:
            code: What a refusal of the request itself is called.
            secret: A signed URL that the answer may repeat.

        Raises:
            ProviderError, RateLimitError, NetworkError: See `errors`.
        """
        response = await self.send(method, path, paid=paid, **options)
        self.raise_refusal(response, paid=paid, code=code, secrets=spellings(secret))
        return response

    def raise_refusal(
        self,
        response: httpx.Response,
        *,
        paid: bool = False,
        code: ErrorCode = ErrorCode.API_ERROR,
        secrets: Iterable[str] = (),
    ) -> None:
        """Raise what an answer other than 2xx means."""
        if not response.is_success:
            keys = self._own.headers().values()
            # The longest first: a key may stand within what goes into the header.
            hidden = (*keys, *(key.rpartition(" ")[2] for key in keys), *secrets)
            raise self.answers.refusal(response, paid=paid, code=code, secrets=hidden)

    def read(self, response: httpx.Response, model: type[Model], *, paid: bool = False) -> Model:
        """What a 2xx answer says.

        Raises:
            ProviderError: It says something else.
        """
        return self.answers.read(response, model, paid=paid)

    async def download(self, url: str) -> bytes | None:
        """The bytes of a finished result, or ``None`` if it is not available there (any more).

        Without the key: results lie at signed addresses of other hosts. Whether the service's own
        address wants it is often not documented, so a refusal there is tried with it.

        Raises:
            ProviderError, NetworkError: No answer, an error of the server, or too many bytes.
        """
        found = await self._download(url, {})
        if found.denied and self.is_ours(url):
            found = await self._download(url, self._own.headers())
        return found.data

    async def _download(self, url: str, headers: dict[str, str]) -> Download:
        return await download(
            self.files,
            url,
            headers=headers,
            allowed=self.fetchable,
            retry=self.retry,
            service=self._own.service,
        )

    def fetchable(self, url: str | httpx.URL) -> bool:
        """Whether something may be downloaded from there: by https, or from a simulator itself."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            return False
        away = parsed.scheme == "https" and bool(parsed.host) and self._hosts(parsed.host)
        return away or self.is_ours(parsed)

    def is_ours(self, url: str | httpx.URL) -> bool:
        """Whether an address is at the host of the API itself."""
        parsed = httpx.URL(url)
        return (parsed.scheme, parsed.netloc) == (self.base.scheme, self.base.netloc)


async def ordered(
    order: Callable[[], Awaitable[str]], find: Callable[[], Awaitable[str | None]]
) -> str:
    """The reference of an order, which is looked for where its answer is lost.

    Raises:
        ProviderError: It was refused, or is not found.
    """
    try:
        return await order()
    except ProviderError as error:
        if error.billed is not Billed.UNKNOWN:
            raise
        try:
            found = await find()
        except JobError:
            found = None
        if found is None:
            raise
        return found


def _base(own: RemoteSettings) -> httpx.URL:
    variable = own.variable(own.url_name)
    try:
        parsed = httpx.URL(own.url())
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{variable} is no URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"{variable} must be like https://api.example.com.")
    return parsed


def spellings(url: str) -> tuple[str, ...]:
    """How an answer might repeat a signed URL: whole, encoded, or its query alone."""
    if not url:
        return ()
    query = httpx.URL(url).query.decode()
    return (url, quote(url, safe=""), quote_plus(url), query)
