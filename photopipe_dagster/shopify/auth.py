"""How Photopipe proves to a Shopify store who it is.

Either a static token of a custom app, or an app of the Dev Dashboard, which gets tokens of 24 hours
by the client credentials grant
(https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Final, Protocol

import httpx
from pydantic import SecretStr

from photopipe_dagster.core.errors import RateLimitError, TargetError
from photopipe_dagster.core.json_text import read_json
from photopipe_dagster.net.client import Retry, send
from photopipe_dagster.shopify.errors import SLOWER, TROUBLE
from photopipe_dagster.shopify.models import Model, read

REFRESH_BEFORE_SECONDS: Final = 300.0
"""How long before its expiry a token is replaced, at most; a tenth of its life if that is less."""

_ERROR_CODE = re.compile(r"[a-z_]{1,64}")


class Auth(Protocol):
    """Gives the token for the next request."""

    async def token(
        self, http: httpx.AsyncClient, *, rejected: SecretStr | None = None, retry: Retry
    ) -> SecretStr:
        """A token that should work.

        Args:
            http: Client whose base URL is the store's.
            rejected: The token that Shopify has just answered with 401.
            retry: How often and how long to try.

        Raises:
            TargetError: There is no other token than the rejected one; says what to check.
            NetworkError, RateLimitError: The store gave no token now.
        """
        ...


class StaticToken:
    """The admin API access token of a custom app."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    async def token(
        self, http: httpx.AsyncClient, *, rejected: SecretStr | None = None, retry: Retry
    ) -> SecretStr:
        """The token; it cannot be renewed."""
        if rejected is not None:
            raise TargetError(
                "Shopify does not accept the access token: check SHOPIFY_ACCESS_TOKEN, and that "
                "the app is still installed on the store of SHOPIFY_STORE.",
                details={"status": 401},
            )
        return self._token


class _Grant(Model):
    access_token: SecretStr
    expires_in: float = 86399.0


class ClientCredentials:
    """An app of the Dev Dashboard, in the same organisation as the store.

    Args:
        client_id: The app's client id.
        client_secret: The app's secret.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: SecretStr,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._token: SecretStr | None = None
        self._good_until = 0.0
        self._renewing = asyncio.Lock()

    async def token(
        self, http: httpx.AsyncClient, *, rejected: SecretStr | None = None, retry: Retry
    ) -> SecretStr:
        """The token, renewed shortly before it expires and after a 401; once for all callers."""
        async with self._renewing:
            stale = self._token is None or self._clock() >= self._good_until
            if self._token is None or stale or self._token == rejected:
                grant = await self._grant(http, retry)
                margin = min(REFRESH_BEFORE_SECONDS, grant.expires_in / 10)
                self._good_until = self._clock() + grant.expires_in - margin
                self._token = grant.access_token
            return self._token

    async def _grant(self, http: httpx.AsyncClient, retry: Retry) -> _Grant:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret.get_secret_value(),
        }
        request = http.build_request("POST", "/admin/oauth/access_token", data=form)
        response = await send(http, request, safe=True, service="Shopify", retry=retry)
        status = response.status_code
        if status == 429:
            raise RateLimitError(f"Shopify gives no access token now: too many requests. {SLOWER}")
        if status >= 500:
            raise TargetError(
                f"Shopify gave no access token (HTTP {status}). {TROUBLE}",
                details={"status": status},
                retryable=True,
            )
        if status != 200:
            raise TargetError(
                f"Shopify gave no access token (HTTP {status}{_reason(response)}): check "
                "SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, that the app is installed, and that "
                "app and store belong to the same organisation.",
                details={"status": status},
            )
        try:
            body = read_json(response.content)
        except ValueError:
            raise TargetError(
                "Shopify answered with something that is no access token. Check that "
                "SHOPIFY_STORE is the store's own host (….myshopify.com).",
                retryable=True,
            ) from None
        # The grant speaks snake_case, unlike GraphQL; `populate_by_name` reads it.
        return read(_Grant, body, "an access token")


def _reason(response: httpx.Response) -> str:
    """The grant's error code, if it is one: never free text, which may echo what was sent."""
    try:
        code = read_json(response.content).get("error")
    except (ValueError, AttributeError):
        return ""
    return f", {code}" if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
