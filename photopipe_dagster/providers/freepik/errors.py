"""What Freepik's refusals mean for a photo and for the money.

| answer to a call              | error                             | billed          |
|-------------------------------|-----------------------------------|-----------------|
| 400, 413, 415, 422            | the stage's own code, permanent   | no              |
| 401, 403                      | API_ERROR, permanent: the key     | no              |
| 402                           | API_ERROR, permanent: the credits | no              |
| 404, other 3xx and 4xx        | API_ERROR, permanent: the address | no              |
| 429 after all retries         | RATE_LIMIT_ERROR, retryable       | no              |
| 503 after all retries         | API_ERROR, retryable              | no              |
| 408, 500, 502, 504, other 5xx | API_ERROR, retryable              | unknown if paid |
| 2xx that cannot be read       | API_ERROR, permanent              | unknown if paid |
| none, and it may have arrived | NETWORK_ERROR, retryable          | unknown if paid |
| none, and it did not arrive   | `NetworkError`, ``sent=False``    | no              |
| a task that FAILED            | BACKGROUND_ERROR, retryable       | unknown         |

Except a 400 to a photo's URL, which is retryable: the photo may only not have been reachable.

Once a call is bought and its reference kept, trouble with fetching its result is
`StillRunningError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from photopipe_dagster.core.errors import (
    Billed,
    ErrorCode,
    JobError,
    NetworkError,
    ProviderError,
    RateLimitError,
)
from photopipe_dagster.core.json_text import read_json, whole_texts
from photopipe_dagster.net.client import public
from photopipe_dagster.providers.base import StillRunningError
from photopipe_dagster.providers.freepik.models import Refusal, WrappedRefusal

Model = TypeVar("Model", bound=BaseModel)

MAX_MESSAGE_CHARACTERS = 500

_TROUBLE = "If it goes on, Freepik is in trouble: see its status page."
_ITS_OWN = "Nothing was bought. Check the photo, its theme and the FREEPIK_ variables"
_COUNTED = "The request may have been processed, so its price is counted."

_REJECTED = frozenset({400, 413, 415, 422})
_URL = re.compile(r"https?(?:://|%3A%2F%2F)[^\s\"'<>]+", re.IGNORECASE)


@contextmanager
def pending_purchase() -> Iterator[None]:
    """Turn failures of the block into `StillRunningError`: its purchase has its reference.

    A final verdict on what was delivered (billed and permanent) passes as it is.
    """
    try:
        yield
    except JobError as error:
        verdict = isinstance(error, ProviderError) and error.billed is Billed.YES
        if verdict and not error.retryable:
            raise
        then = "the next try" if error.retryable else "once that is fixed, `photopipe retry JOB`"
        raise StillRunningError(
            f"{error.message} It is bought: {then} fetches it without paying again.",
            billed=Billed.UNKNOWN,
            details=error.details,
            code=error.code,
            retryable=error.retryable,
        ) from error


def refusal(
    response: httpx.Response, *, paid: bool, code: ErrorCode, secrets: Iterable[str] = ()
) -> JobError:
    """The error that an answer other than 2xx means.

    Args:
        paid: Whether the request was one that costs money if it is carried out.
        code: What a refusal of the request itself is called.
        secrets: Texts that the answer may repeat and nobody may see.
    """
    status = response.status_code
    said = _message(response, secrets)
    where = f"{response.request.method} {public(response.request.url)}"
    answered = f"Freepik answered {status} to {where}{f': {said}' if said else ''}."
    details = {"service": "Freepik", "status": status, "message": said}
    if status in _REJECTED:
        advice = "Check the FREEPIK_ variables" if code is ErrorCode.API_ERROR else _ITS_OWN
        return ProviderError(
            f"{answered} {advice}, then `photopipe retry JOB`.", code=code, details=details
        )
    if status in (401, 403):
        return ProviderError(
            f"{answered} Check FREEPIK_API_KEY, and that FREEPIK_API_KEY_HEADER is the one that "
            "FREEPIK_API_URL wants.",
            details=details,
        )
    if status == 402:
        return ProviderError(
            f"{answered} The organisation's credits are used up: top them up, then "
            "`photopipe retry JOB`.",
            details=details,
        )
    if status == 429:
        return RateLimitError(
            f"{answered} Lower FREEPIK_REQUESTS_PER_MINUTE if this goes on.", details=details
        )
    if status == 503:
        return ProviderError(f"{answered} {_TROUBLE}", retryable=True, details=details)
    if status == 408 or status >= 500:
        said = f"{answered} {_COUNTED} {_TROUBLE}" if paid else f"{answered} {_TROUBLE}"
        billed = Billed.UNKNOWN if paid else Billed.NO
        return ProviderError(said, billed=billed, retryable=True, details=details)
    return ProviderError(
        f"{answered} Check FREEPIK_API_URL, then `photopipe retry JOB`.", details=details
    )


def read(response: httpx.Response, model: type[Model], *, paid: bool) -> Model:
    """What a 2xx answer says.

    Raises:
        ProviderError: It says something else. If the request was a paid one nobody knows whether
            it was carried out, and trying again could buy the same riddle again and again: so it
            is permanent and counted.
    """
    try:
        return model.model_validate(whole_texts(read_json(response.content)))
    except ValidationError as error:
        # Only the places: the values may be signed URLs.
        flaws = error.errors(include_url=False, include_context=False, include_input=False)
        places = sorted({".".join(map(str, flaw["loc"])) or "JSON" for flaw in flaws})
    except ValueError:
        places = ["JSON"]
    raise ProviderError(
        f"Freepik answered {response.status_code} to {response.request.method} "
        f"{public(response.request.url)} with something unexpected ({', '.join(places)}). "
        "Check FREEPIK_API_URL; the API may have changed."
        f"{f' {_COUNTED}' if paid else ''}",
        billed=Billed.UNKNOWN if paid else Billed.NO,
        details={"service": "Freepik", "status": response.status_code, "unexpected": places},
    )


def unanswered(error: NetworkError, *, paid: bool) -> ProviderError:
    """The error that silence means, if the request may have arrived.

    Asking for something free again costs nothing, so silence there was certainly not billed.
    """
    if not paid:
        message, billed = error.message, Billed.NO
    else:
        message = (
            f"{error.message} The request may have arrived, so its price is counted and it was "
            "not sent a second time."
        )
        billed = Billed.UNKNOWN
    return ProviderError(
        message,
        billed=billed,
        details=error.details,
        code=ErrorCode.NETWORK_ERROR,
        retryable=True,
    )


def _message(response: httpx.Response, secrets: Iterable[str]) -> str:
    """What an error answer says, in one line that can be shown; empty if it says nothing."""
    problem = _problem(response.content)
    if problem is None:
        return ""
    text = problem.message.strip().rstrip(".")
    if problem.invalid_params:
        named = "; ".join(
            f"{param.name}: {param.reason}" if param.reason else param.name
            for param in problem.invalid_params
        )
        text = f"{text} ({named})" if text else named
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[hidden]")
    text = _URL.sub(_shown, text)
    return " ".join(text.split())[:MAX_MESSAGE_CHARACTERS]


def _problem(content: bytes) -> Refusal | None:
    try:
        said = whole_texts(read_json(content))
    except ValueError:
        return None
    for model in (WrappedRefusal, Refusal):
        try:
            parsed = model.model_validate(said)
        except ValidationError:
            continue
        return parsed.problem if isinstance(parsed, WrappedRefusal) else parsed
    return None


def _shown(match: re.Match[str]) -> str:
    if "://" not in match[0]:  # percent-encoded: its query cannot be told from its path
        return "[a URL]"
    try:
        return public(match[0])
    except httpx.InvalidURL:
        return "[a URL]"
