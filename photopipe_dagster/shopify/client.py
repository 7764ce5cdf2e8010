"""Speaks GraphQL with one Shopify store: authentication, cost points, errors, versions.

Only the modules of this package call `ShopifyClient.execute`; what leaves them is typed.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import httpx
from pydantic import SecretStr

from photopipe_dagster.core.errors import ConfigurationError, RateLimitError, TargetError
from photopipe_dagster.net.client import Retry, new_client, send
from photopipe_dagster.shopify import documents, errors
from photopipe_dagster.shopify.auth import Auth, ClientCredentials, StaticToken
from photopipe_dagster.shopify.cost_throttle import CostBucket
from photopipe_dagster.shopify.documents import Document
from photopipe_dagster.shopify.errors import SLOWER
from photopipe_dagster.shopify.models import StagedTarget
from photopipe_dagster.shopify.settings import ShopifySettings

logger = logging.getLogger(__name__)

THROTTLED_SECONDS: Final = 120.0
"""How long one operation is repeated while Shopify throttles it."""

_UNKNOWN_WAIT: Final = 1.0
"""Seconds to wait when a throttled answer does not tell what is missing; the official client's."""

_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?")

_warned: set[tuple[str, str]] = set()
"""What has been warned of in this process."""


class ShopifyClient(AbstractAsyncContextManager["ShopifyClient"]):
    """One store. Safe for many coroutines of one event loop.

    Args:
        settings: The store, the credentials, and how long the store may take.
        transport: Replaces the network in tests.
        sleep: Waits for seconds.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: SHOPIFY_STORE or the credentials are missing.
    """

    def __init__(
        self,
        settings: ShopifySettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.sleep = sleep
        self.clock = clock
        store, self._auth = store_and_auth(settings, clock=clock)
        self._api_version = settings.shopify_api_version
        self._endpoint = httpx.URL(f"{store}/admin/api/{self._api_version}/graphql.json")
        self._retry = Retry(sleep=sleep)
        self._http = new_client(base_url=store, transport=transport)
        self._bucket = CostBucket(sleep=sleep, clock=clock)

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def execute(
        self, name: str, variables: Mapping[str, Any], *, safe: bool
    ) -> dict[str, Any]:
        """Run one of our documents. For the modules of this package.

        Args:
            name: The document's name.
            variables: Its variables.
            safe: Whether repeating it is harmless although an earlier one may have worked.

        Returns:
            `data`, as it came. A mutation that did its work is returned even if a field beside
            was denied; a query with any error is not, for what it lacks could decide.

        Raises:
            TargetError: Refused or failed; says whether trying later can help.
            NetworkError: Nobody answered. RateLimitError: throttled for too long.
        """
        document = documents.load(name)
        throttled_since: float | None = None
        failures = 0
        while True:
            reply, fits = await self._exchange(document, variables, safe=safe)
            if reply.has(errors.THROTTLED):
                # It was not executed, so that repeating is harmless; `CostBucket` waits until it
                # fits, exactly as long as Shopify's figures say.
                throttled_since = self.clock() if throttled_since is None else throttled_since
                if self.clock() - throttled_since >= THROTTLED_SECONDS:
                    raise _throttled(document)
                if fits:
                    await self.sleep(_UNKNOWN_WAIT)
            elif reply.has(errors.INTERNAL) and safe and failures < self._retry.attempts - 1:
                await self.sleep(self._retry.wait(failures, None))
                failures += 1
            else:
                return _data(reply, document)

    async def upload(
        self, target: StagedTarget, *, filename: str, data: bytes, content_type: str
    ) -> None:
        """Upload a file to a staged target: all parameters in order, the file last, no token.

        Raises:
            TargetError: The target refused it.
            NetworkError: The target did not answer.
        """
        fields: dict[str, list[str]] = {}
        for parameter in target.parameters:
            fields.setdefault(parameter.name, []).append(parameter.value)
        request = self._http.build_request(
            "POST",
            target.url.get_secret_value(),
            data=fields,
            files={"file": (filename, data, content_type)},
        )
        # Repeating writes the same bytes to the same place.
        response = await send(
            self._http, request, safe=True, service="Shopify's upload", retry=self._retry
        )
        status = response.status_code
        if status == 429:
            raise RateLimitError(
                f"Shopify's staged upload asks to slow down at {filename} (HTTP 429). {SLOWER}",
                details={"status": status},
            )
        if not response.is_success:
            raise TargetError(
                f"Shopify's staged upload refused {filename} (HTTP {status}). The next attempt "
                "asks for a new upload target.",
                details={"status": status},
                retryable=status != 413,
            )

    async def _exchange(
        self, document: Document, variables: Mapping[str, Any], *, safe: bool
    ) -> tuple[errors.Reply, bool]:
        """Send once the points suffice; also whether the same would fit again at once."""
        async with self._bucket.admit(document.name):
            response = await self._authorised(document, variables, safe=safe)
            self._warn(response)
            if response.status_code != 200:
                raise errors.status_error(response.status_code, document)
            reply = errors.parse(response, document)
            return reply, self._bucket.learn(document.name, reply.cost)

    async def _authorised(
        self, document: Document, variables: Mapping[str, Any], *, safe: bool
    ) -> httpx.Response:
        """Send with a token, and with another one if Shopify does not know the first."""
        token = await self._auth.token(self._http, retry=self._retry)
        response = await self._post(document, variables, token, safe=safe)
        if response.status_code != 401:
            return response
        token = await self._auth.token(self._http, rejected=token, retry=self._retry)
        response = await self._post(document, variables, token, safe=safe)
        if response.status_code == 401:
            raise TargetError(
                "Shopify does not accept the access token that it has just issued: check "
                "SHOPIFY_CLIENT_ID, and that the app is installed on the store of SHOPIFY_STORE.",
                details={"status": 401},
            )
        return response

    async def _post(
        self, document: Document, variables: Mapping[str, Any], token: SecretStr, *, safe: bool
    ) -> httpx.Response:
        request = self._http.build_request(
            "POST",
            self._endpoint,
            headers={"X-Shopify-Access-Token": token.get_secret_value()},
            json={"query": document.text, "variables": dict(variables)},
        )
        return await send(self._http, request, safe=safe, service="Shopify", retry=self._retry)

    def _warn(self, response: httpx.Response) -> None:
        """Say once a process that Shopify ran another version, or that ours will end."""
        ran = response.headers.get("X-Shopify-API-Version", self._api_version)
        if ran != self._api_version and _first((self._api_version, ran)):
            logger.warning(
                "Shopify ran API version %s although SHOPIFY_API_VERSION asks for %s: "
                "choose a version that it supports.",
                ran,
                self._api_version,
            )
        deprecated = response.headers.get("X-Shopify-API-Deprecated-Reason")
        if deprecated and _first((self._api_version, deprecated)):
            logger.warning(
                "Shopify API version %s: a call is deprecated (%s).", self._api_version, deprecated
            )


def store_and_auth(
    settings: ShopifySettings, *, clock: Callable[[], float] = time.monotonic
) -> tuple[str, Auth]:
    """The base URL of the store, and its credentials; a static token goes first.

    Args:
        clock: Monotonic seconds, by which tokens expire.

    Raises:
        ConfigurationError: SHOPIFY_STORE or the credentials are missing, or no store is like that.
    """
    if not settings.shopify_store:
        raise ConfigurationError("Set SHOPIFY_STORE to your store's ….myshopify.com host.")
    store = base_url(settings.shopify_store)
    if settings.shopify_access_token:
        return store, StaticToken(settings.shopify_access_token)
    app, secret = settings.shopify_client_id, settings.shopify_client_secret
    if app and secret:
        return store, ClientCredentials(app, secret, clock=clock)
    raise ConfigurationError(
        "Set SHOPIFY_ACCESS_TOKEN, or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET."
    )


def base_url(store: str) -> str:
    """The base URL of a store, without a slash at the end.

    Args:
        store: A host, or a base URL with ``http://`` or ``https://``.

    Raises:
        ConfigurationError: It is neither.
    """
    if store.startswith(("http://", "https://")):
        url = httpx.URL(store)
        if url.host and not url.userinfo and not url.query and not url.fragment:
            return store.rstrip("/")
    elif _HOST.fullmatch(store):
        return f"https://{store}"
    raise ConfigurationError(
        "SHOPIFY_STORE must be a host such as your-store.myshopify.com, or a base URL that starts "
        "with https:// and has neither user nor query."
    )


def _data(reply: errors.Reply, document: Document) -> dict[str, Any]:
    if reply.data and reply.answers and document.mutates and reply.errors:
        logger.warning(
            "Shopify did %s, but left out a part of its answer (%s).",
            document.name,
            ", ".join(error.code or "no code" for error in reply.errors),
        )
        return reply.data
    if reply.errors or reply.data is None or (document.mutates and not reply.answers):
        raise errors.graphql_error(reply, document)
    return reply.data


def _throttled(document: Document) -> RateLimitError:
    return RateLimitError(
        f"Shopify has throttled {document.name} for {THROTTLED_SECONDS:.0f} s: the store's API "
        f"budget is used up, by Photopipe or by other apps. {SLOWER}",
        details={"operation": document.name},
    )


def _first(what: tuple[str, str]) -> bool:
    """Whether this has not been warned of in this process."""
    if what in _warned:
        return False
    _warned.add(what)
    return True
