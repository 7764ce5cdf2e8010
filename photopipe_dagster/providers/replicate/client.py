"""Replicate's API: predictions are ordered once, and looked at until they have ended.

| answer to an order            | error                             | billed  |
|-------------------------------|-----------------------------------|---------|
| 400, 413, 422                 | the stage's own code, permanent   | no      |
| 401, 403                      | API_ERROR, permanent: the token   | no      |
| 402                           | API_ERROR, permanent: the credit  | no      |
| 404, other 3xx and 4xx        | API_ERROR, permanent: the model   | no      |
| 429 after all retries         | RATE_LIMIT_ERROR, retryable       | no      |
| 503 after all retries         | API_ERROR, retryable              | no      |
| 408, other 5xx, none, garbled | looked for; if it is not listed:  | unknown |
|                               | API_ERROR or NETWORK_ERROR        |         |

A prediction whose answer was lost is looked for among the latest ones by its whole input, which no
other has: a photo is uploaded again for each, and the seed of a background is its photo's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    JobError,
    NetworkError,
    ProviderError,
    RateLimitError,
)
from photopipe_dagster.core.json_text import read_json
from photopipe_dagster.net.client import Retry, new_client, send
from photopipe_dagster.net.rate_limit import TokenBucket
from photopipe_dagster.providers.base import StillRunningError
from photopipe_dagster.providers.replicate.models import Model

SERVICE: Final = "Replicate"

_REJECTED: Final = frozenset({400, 413, 422})
_CLOCKS_DIFFER: Final = timedelta(minutes=2)


class Prediction(BaseModel):
    """What is read of a prediction; it has more.

    Args:
        output: A URL, several, or nothing.
        data_removed: Its output was deleted, an hour after it ended.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    status: str
    input: dict[str, Any] = {}
    output: str | list[str] | None = None
    error: str | None = None
    data_removed: bool = False


class ReplicateClient:
    """One account.

    Args:
        url: The API's, with its version.
        limiter: Waited for before each order, repeated ones included.
        now: The time of day.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        limiter: TokenBucket,
        now: Callable[[], datetime],
        transport: httpx.AsyncBaseTransport | None,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._url = url.rstrip("/")
        self._limiter = limiter
        self._now = now
        self._retry = Retry(sleep=sleep)
        headers = {"Authorization": f"Bearer {token}"}
        self._http = new_client(headers=headers, transport=transport)

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def upload(self, data: bytes, content_type: str) -> str:
        """Put a photo where a model reads it, for nothing; its URL.

        Raises:
            ProviderError, RateLimitError, NetworkError: It was not taken.
        """
        name = f"{secrets.token_hex(8)}.{content_type.partition('/')[2]}"
        files = {"content": (name, data, content_type)}
        try:
            response = await self._ask("POST", "/files", safe=True, files=files)
        except NetworkError as error:
            raise ProviderError(
                error.message, details=error.details, code=error.code, retryable=True
            ) from error
        _raise_refusal(response, ErrorCode.SEGMENTATION_ERROR, billed=Billed.NO)
        try:
            return str(read_json(response.content)["urls"]["get"])
        except (ValueError, KeyError, TypeError):
            raise _unexpected("an upload", Billed.NO) from None

    async def order(
        self, model: Model, given: Mapping[str, Any], *, code: ErrorCode, cancel_after: float
    ) -> Prediction:
        """Order a prediction, once. One whose answer is lost is looked for.

        Args:
            given: All of its input.
            code: What a refusal of the input is called.
            cancel_after: Seconds after which Replicate stops it.

        Raises:
            ProviderError, RateLimitError, NetworkError: See above.
        """
        path, body = f"/models/{model.name}/predictions", dict[str, Any](input=dict(given))
        if model.version is not None:
            path, body = "/predictions", body | {"version": model.version}
        headers = {"Cancel-After": f"{cancel_after:.0f}s"}
        began = self._now()
        await self._limiter.acquire()
        try:
            response = await self._ask("POST", path, safe=False, json=body, headers=headers)
            _raise_refusal(response, code, billed=Billed.UNKNOWN)
            return _prediction(response, Billed.UNKNOWN)
        except (NetworkError, ProviderError) as error:
            unsure = error.sent if isinstance(error, NetworkError) else _is_unsure(error)
            if not unsure:
                raise
            found = await self._look_for(body["input"], began)
            if found is not None:
                return found
            raise _counted(error) from error

    async def get(self, prediction_id: str) -> Prediction | None:
        """How far a prediction is; ``None``: there is none.

        Raises:
            StillRunningError, NetworkError: Replicate did not say.
        """
        response = await self._ask(
            "GET", f"/predictions/{quote(prediction_id, safe='')}", safe=True
        )
        if response.status_code == 404:
            return None
        if not response.is_success:
            raise StillRunningError(
                f"{SERVICE} answers for what is ordered with {response.status_code}. The next try "
                "asks again, without paying.",
                billed=Billed.UNKNOWN,
                details={"service": SERVICE, "status": response.status_code},
            )
        return _prediction(response, Billed.UNKNOWN, StillRunningError)

    async def _look_for(self, given: Mapping[str, Any], began: datetime) -> Prediction | None:
        since = (began - _CLOCKS_DIFFER).isoformat().replace("+00:00", "Z")
        try:
            response = await self._ask(
                "GET", "/predictions", safe=True, params={"created_after": since}
            )
            listed = read_json(response.content)["results"] if response.is_success else []
            found = [Prediction.model_validate(each) for each in listed]
        except (NetworkError, ValueError, KeyError, TypeError):
            return None
        return next((each for each in found if each.input == given), None)

    async def _ask(self, method: str, path: str, *, safe: bool, **options: Any) -> httpx.Response:
        request = self._http.build_request(method, self._url + path, **options)
        return await send(self._http, request, safe=safe, service=SERVICE, retry=self._retry)


def _is_unsure(error: ProviderError) -> bool:
    return error.billed is Billed.UNKNOWN


def _counted(error: JobError) -> ProviderError:
    return ProviderError(
        f"{error.message} The order may have arrived and is not listed: its price is counted, and "
        "it was not sent a second time.",
        billed=Billed.UNKNOWN,
        details=error.details,
        code=error.code,
        retryable=error.retryable,
    )


def _prediction(
    response: httpx.Response, billed: Billed, kind: type[ProviderError] = ProviderError
) -> Prediction:
    try:
        return Prediction.model_validate(read_json(response.content))
    except (ValidationError, ValueError):
        raise _unexpected("a prediction", billed, kind) from None


def _unexpected(
    what: str, billed: Billed, kind: type[ProviderError] = ProviderError
) -> ProviderError:
    return kind(
        f"{SERVICE} answers with something that is not {what}. Check REPLICATE_API_URL; the API "
        "may have changed.",
        billed=billed,
        details={"service": SERVICE},
    )


def _raise_refusal(response: httpx.Response, code: ErrorCode, *, billed: Billed) -> None:
    """Raise what an answer other than 2xx means.

    Args:
        billed: What nobody knows of is billed like that.
    """
    status = response.status_code
    if response.is_success:
        return
    said = f"{SERVICE} answered {status}."
    details = {"service": SERVICE, "status": status}
    again = "then `photopipe retry JOB`"
    if status in _REJECTED:
        raise ProviderError(
            f"{said} Nothing was bought. Check the photo, its theme and the models of REPLICATE_, "
            f"{again}.",
            code=code,
            details=details,
        )
    if status in (401, 403):
        raise ProviderError(f"{said} Check REPLICATE_API_TOKEN.", details=details)
    if status == 402:
        raise ProviderError(
            f"{said} The account's credit is used up: top it up, {again}.", details=details
        )
    if status == 429:
        raise RateLimitError(
            f"{said} Lower REPLICATE_ORDERS_PER_MINUTE if this goes on.", details=details
        )
    if status == 408 or status >= 500:
        raise ProviderError(
            f"{said} If it goes on, Replicate is in trouble: see its status page.",
            billed=Billed.NO if status == 503 else billed,
            retryable=True,
            details=details,
        )
    raise ProviderError(
        f"{said} Check REPLICATE_API_URL and the models of REPLICATE_, {again}.", details=details
    )
