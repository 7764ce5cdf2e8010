"""What the answers of a service mean for a photo and for the money.

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

Once a call is bought and its reference kept, trouble with fetching its result is
`StillRunningError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

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
from photopipe_dagster.providers.base import ResultGoneError, StillRunningError
from photopipe_dagster.providers.remote.settings import RemoteSettings

Model = TypeVar("Model", bound=BaseModel)

MAX_MESSAGE_CHARACTERS = 500

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


class Answers:
    """What one service's answers mean.

    Args:
        own: Its settings, for what people are told.
    """

    def __init__(self, own: RemoteSettings) -> None:
        self._own = own
        self._service = own.service
        self._variables = f"the {own.prefix.upper()}_ variables"

    def status(self, response: httpx.Response) -> int:
        """What an answer's status means, as HTTP has it; a service may have words of its own."""
        return response.status_code

    def refusal(
        self, response: httpx.Response, *, paid: bool, code: ErrorCode, secrets: Iterable[str] = ()
    ) -> JobError:
        """The error that an answer other than 2xx means.

        Args:
            paid: Whether the request was one that costs money if it is carried out.
            code: What a refusal of the request itself is called.
            secrets: Texts that the answer may repeat and nobody may see.
        """
        own, service, status = self._own, self._service, self.status(response)
        said = message(response.content, secrets)
        where = f"{response.request.method} {public(response.request.url)}"
        answered = (
            f"{service} answered {response.status_code} to {where}{f': {said}' if said else ''}."
        )
        trouble = f"If it goes on, {service} is in trouble: see its status page or its log."
        details = {"service": service, "status": status, "message": said}
        if status in _REJECTED:
            advice = (
                f"Check {self._variables}"
                if code is ErrorCode.API_ERROR
                else f"Nothing was bought. Check the photo, its theme and {self._variables}"
            )
            return ProviderError(
                f"{answered} {advice}, then `photopipe retry JOB`.", code=code, details=details
            )
        if status in (401, 403):
            return ProviderError(f"{answered} {own.key_advice()}", details=details)
        if status == 402:
            return ProviderError(
                f"{answered} The account's credits are used up: top them up, then "
                "`photopipe retry JOB`.",
                details=details,
            )
        if status == 429:
            return RateLimitError(f"{answered} {own.rate_advice()}", details=details)
        if status == 503:
            return ProviderError(f"{answered} {trouble}", retryable=True, details=details)
        if status == 408 or status >= 500:
            said = f"{answered} {_COUNTED} {trouble}" if paid else f"{answered} {trouble}"
            billed = Billed.UNKNOWN if paid else Billed.NO
            return ProviderError(said, billed=billed, retryable=True, details=details)
        return ProviderError(
            f"{answered} Check {own.variable(own.url_name)} and the others of {self._variables}, "
            "then `photopipe retry JOB`.",
            details=details,
        )

    def read(self, response: httpx.Response, model: type[Model], *, paid: bool) -> Model:
        """What a 2xx answer says.

        Raises:
            ProviderError: It says something else, see `unexpected`.
        """
        try:
            return model.model_validate(whole_texts(read_json(response.content)))
        except ValidationError as error:
            # Only the places: the values may be signed URLs.
            flaws = error.errors(include_url=False, include_context=False, include_input=False)
            places = sorted({".".join(map(str, flaw["loc"])) or "JSON" for flaw in flaws})
        except ValueError:
            places = ["JSON"]
        raise self.unexpected(response, places, paid=paid)

    def unexpected(
        self, response: httpx.Response, places: list[str], *, paid: bool
    ) -> ProviderError:
        """The error that a 2xx answer means which says something else than it should.

        If the request was a paid one nobody knows whether it was carried out, and trying again
        could buy the same riddle again and again: so it is permanent and counted.
        """
        return ProviderError(
            f"{self._service} answered {response.status_code} to {response.request.method} "
            f"{public(response.request.url)} with something unexpected ({', '.join(places)}). "
            f"Check {self._own.variable(self._own.url_name)} and the others of {self._variables}; "
            f"the API may have changed.{f' {_COUNTED}' if paid else ''}",
            billed=Billed.UNKNOWN if paid else Billed.NO,
            details={
                "service": self._service,
                "status": response.status_code,
                "unexpected": places,
            },
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


def not_there(service: str, what: str, *, fresh: bool) -> Exception:
    """What it means that a result is not there: it has expired, unless it was made just now.

    A new result that is not there yet gets another try. Were it `ResultGoneError` at once, a fault
    of the download would buy the same picture again and again.
    """
    if fresh:
        return StillRunningError(
            f"{service} made the {what}, and it is not at its address yet. It is bought: the next "
            "try fetches it without paying again.",
            billed=Billed.UNKNOWN,
            details={"service": service},
        )
    return ResultGoneError(f"the {what} that was bought earlier is not at {service}'s any more")


@contextmanager
def worth_another_look(*, fresh: bool) -> Iterator[None]:
    """What was made just now and is no whole picture stays bought: the way to it may be broken.

    The next try fetches it again, and only what is no picture then either is given up.
    """
    try:
        yield
    except ProviderError as error:
        if not (fresh and error.retryable):
            raise
        raise StillRunningError(
            f"{error.message} It stays bought: the next try fetches it again without paying.",
            billed=Billed.UNKNOWN,
            details=error.details,
            code=error.code,
        ) from error


def message(content: bytes, secrets: Iterable[str]) -> str:
    """What an error answer says, in one line that can be shown; empty if it says nothing."""
    try:
        text = _said(whole_texts(read_json(content)))
    except ValueError:
        return ""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[hidden]")
    text = _URL.sub(_shown, text)
    return " ".join(text.split())[:MAX_MESSAGE_CHARACTERS]


def word_at(response: httpx.Response, *path: str | int) -> str:
    """A word of an answer in JSON, by the way to it; empty where there is none."""
    try:
        said = read_json(response.content)
        for step in path:
            said = said[step]
        return str(said)
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def _said(answer: Any) -> str:
    """The words for people in an error, wherever its service puts them."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return "; ".join(filter(None, map(_said, answer)))
    if not isinstance(answer, Mapping):
        return ""
    for wrapper in ("problem", "error", "errors"):
        if isinstance(answer.get(wrapper), Mapping | list | str):
            return _said(answer[wrapper])
    words = (answer.get(name) for name in ("message", "title", "detail", "msg", "reason"))
    text = ": ".join(
        dict.fromkeys(filter(None, (_said(each).strip().rstrip(".") for each in words)))
    )
    named = _said(answer.get("invalid_params"))
    if isinstance(answer.get("name"), str) and set(answer) <= {"name", "reason"}:
        return f"{answer['name']}: {text}" if text else str(answer["name"])
    return f"{text} ({named})" if text and named else text or named


def _shown(match: re.Match[str]) -> str:
    if "://" not in match[0]:  # percent-encoded: its query cannot be told from its path
        return "[a URL]"
    try:
        return public(match[0])
    except httpx.InvalidURL:
        return "[a URL]"
