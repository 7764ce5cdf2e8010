"""Asks 3JMS for photos.

3JMS has no public documentation: what is asked here is an assumption, adjustable by settings. It
is ``GET {THREEJMS_API_URL}{THREEJMS_PHOTOS_PATH}?since=<ISO 8601>&page=<from 1>&page_size=<n>``
with ``Authorization: {THREEJMS_AUTH_SCHEME} {THREEJMS_API_KEY}``, and the answer is
``{"results": [...], "next": ...}`` or a plain list. A listing ends where ``next`` is null; where
there is no ``next``, at an empty page, at one that repeats the page before, or at a 404.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from photopipe_dagster.core.errors import ConfigurationError, NetworkError, RateLimitError
from photopipe_dagster.core.json_text import read_json
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.client import Retry, new_client, public, send
from photopipe_dagster.sources.announcements import read_listed
from photopipe_dagster.sources.base import Announcement, Malformed, PhotoSource
from photopipe_dagster.sources.threejms.settings import ThreeJmsSettings

MAX_PAGES: Final = 10_000
"""A listing that is longer than this does not end: a million photos at the usual page size."""

_SERVICE = "3JMS"


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of a listing, as it came.

    Args:
        next: What the page says follows it: a URL, some other value, or ``None`` for nothing.
        says_next: Whether the page says anything about what follows it.
    """

    results: list[object]
    next: object
    says_next: bool


class ThreeJmsClient(PhotoSource):
    """A client of 3JMS.

    Args:
        settings: THREEJMS_API_URL and the key.
        transport: Replaces the network in tests.
        retry: How often a page is asked for.

    Raises:
        ConfigurationError: There is no THREEJMS_API_URL, or it is no http URL.
    """

    def __init__(
        self,
        settings: Settings,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        retry: Retry | None = None,
    ) -> None:
        ours = settings.of(ThreeJmsSettings)
        url = ours.threejms_api_url or ""
        if not url.startswith(("https://", "http://")):
            raise ConfigurationError(
                "THREEJMS_API_URL must be the base URL of 3JMS, such as https://inventory.example; "
                "polling is off without it."
            )
        headers = {"Accept": "application/json"}
        if ours.threejms_api_key is not None:
            key = ours.threejms_api_key.get_secret_value()
            headers["Authorization"] = f"{ours.threejms_auth_scheme} {key}".strip()
        self._http = new_client(base_url=url.rstrip("/"), headers=headers, transport=transport)
        self._photos_path = ours.threejms_photos_path
        self._page_size = ours.threejms_page_size
        self._retry = retry

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def list_since(
        self, moment: datetime | None
    ) -> AsyncIterator[list[Announcement | Malformed]]:
        """Photos that came or changed since a moment (all, where it is ``None``), page by page.

        Raises:
            ConfigurationError: 3JMS refuses the key or the request; says what to set.
            NetworkError: No answer, or none that can be read, after all retries.
            RateLimitError: 3JMS asked to slow down, after all retries.
        """
        url: httpx.URL | str = self._photos_path
        params: dict[str, str] | None = self._params(moment, 1)
        asked: set[str] = set()
        before: _Page | None = None
        for number in range(1, MAX_PAGES + 1):
            request = self._http.build_request("GET", url, params=params)
            if str(request.url) in asked:
                raise NetworkError(
                    f"3JMS pagination loop at page {number}: its `next` leads back to an earlier "
                    f"page."
                )
            asked.add(str(request.url))
            page = await self._page(request, first=number == 1)
            # A server that does not know pages sends the same list again.
            if page is None or (not page.says_next and before and page.results == before.results):
                return
            yield [read_listed(item) for item in page.results]
            if page.next is None and (page.says_next or not page.results):
                return
            following = self._same_origin(page.next, request.url)
            url = self._photos_path if following is None else following
            params = self._params(moment, number + 1) if following is None else None
            before = page
        raise NetworkError(f"The listing of 3JMS did not end after {MAX_PAGES} pages.")

    def _params(self, moment: datetime | None, page: int) -> dict[str, str]:
        params = {"page": str(page), "page_size": str(self._page_size)}
        if moment is not None:
            params["since"] = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return params

    def _same_origin(self, following: object, url: httpx.URL) -> httpx.URL | None:
        """Where ``next`` leads, if that is the same server: no other one is told the key.

        A server behind a proxy may name itself by its inner address; then the number of the page
        says where to go on.
        """
        if not isinstance(following, str):
            return None
        try:
            joined = url.join(following)
        except (httpx.InvalidURL, ValueError):
            return None
        same = (joined.scheme, joined.netloc) == (url.scheme, url.netloc)
        return joined if same and not joined.userinfo else None

    async def _page(self, request: httpx.Request, *, first: bool) -> _Page | None:
        """One page, or ``None`` where the listing is over."""
        response = await send(self._http, request, safe=True, service=_SERVICE, retry=self._retry)
        if response.status_code == httpx.codes.NOT_FOUND and not first:
            return None
        if response.status_code != httpx.codes.OK:
            raise _refusal(response)
        try:
            return _read_page(read_json(response.content))
        except ValueError:
            raise NetworkError(
                f"3JMS answers {public(request.url)} with something that is no listing of photos. "
                "Check THREEJMS_API_URL and THREEJMS_PHOTOS_PATH.",
                details={"content_type": response.headers.get("content-type", "")[:100]},
            ) from None


def _read_page(body: Any) -> _Page:
    if isinstance(body, list):
        return _Page(body, None, says_next=False)
    if isinstance(body, dict) and isinstance(body.get("results"), list):
        return _Page(body["results"], body.get("next") or None, says_next="next" in body)
    raise ValueError("no listing")


def _refusal(response: httpx.Response) -> Exception:
    """What an answer other than a listing means, and what to do about it."""
    status = response.status_code
    where = public(response.request.url)
    if status in (401, 403):
        return ConfigurationError(
            f"3JMS refuses the key ({status}). Set THREEJMS_API_KEY, and THREEJMS_AUTH_SCHEME to "
            "the word that 3JMS wants before it (Token, Bearer)."
        )
    if status == httpx.codes.NOT_FOUND:
        return ConfigurationError(
            f"3JMS has no listing at {where} (404). Set THREEJMS_API_URL and THREEJMS_PHOTOS_PATH."
        )
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return RateLimitError("3JMS asks to slow down (429). Raise THREEJMS_POLL_SECONDS.")
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return NetworkError(
            f"3JMS fails at {where} with status {status}. See whether it is up; the next poll asks "
            "again."
        )
    return ConfigurationError(
        f"3JMS refuses the listing at {where} with status {status}. Check THREEJMS_API_URL, "
        "THREEJMS_PHOTOS_PATH and THREEJMS_PAGE_SIZE against its interface."
    )
