"""What a reply of Shopify means: which are errors, and what a person can do about each.

HTTP statuses: https://shopify.dev/docs/api/usage/response-codes. Errors within HTTP 200:
https://shopify.dev/docs/api/admin-graphql#status_and_error_codes.
"""

from __future__ import annotations

from typing import Any, Final

import httpx
from pydantic import AliasPath, Field

from photopipe_dagster.core.errors import JobError, RateLimitError, TargetError
from photopipe_dagster.core.json_text import read_json, whole_texts
from photopipe_dagster.shopify.documents import Document
from photopipe_dagster.shopify.models import Cost, Model, UserError, quote, read

THROTTLED: Final = "THROTTLED"
INTERNAL: Final = "INTERNAL_SERVER_ERROR"

SLOWER: Final = "If it goes on, lower PHOTOS_IN_FLIGHT, or see which other apps use its API."
TROUBLE: Final = "If it goes on, Shopify is in trouble: see its status page."

_STATUS_ADVICE: Final = {
    402: "the store is frozen: its owner has to settle Shopify's bill",
    403: "the store forbids it: check in Shopify that app and store are in good standing",
    404: "there is no such store or API: check SHOPIFY_STORE and SHOPIFY_API_VERSION",
    423: "the store is locked: its owner has to contact Shopify's support",
}


_REFUSALS: Final = frozenset({"SHOP_INACTIVE", "ACCESS_DENIED", "SHOP_MEDIA_LIMIT_EXCEEDED"})
"""Codes that every photo gets until a person does something about it."""


class GraphQLError(Model):
    """One entry of `errors`, with Shopify's code."""

    message: str
    code: str | None = Field(None, validation_alias=AliasPath("extensions", "code"))


class Reply(Model):
    """The body of an answer with HTTP 200."""

    data: dict[str, Any] | None = Field(None, repr=False)
    errors: tuple[GraphQLError, ...] = ()
    cost: Cost = Field(default_factory=Cost, validation_alias=AliasPath("extensions", "cost"))

    def has(self, code: str) -> bool:
        """Whether an error of that code is among the errors."""
        return any(error.code == code for error in self.errors)

    @property
    def answers(self) -> bool:
        """Whether every field that was asked for at the top has a value."""
        return bool(self.data) and all(value is not None for value in (self.data or {}).values())


def parse(response: httpx.Response, document: Document) -> Reply:
    """The body of an answer with HTTP 200.

    Raises:
        TargetError: It is no GraphQL answer.
    """
    try:
        body = whole_texts(read_json(response.content))
    except ValueError:
        raise TargetError(
            f"Shopify answered {document.name} with something that is no JSON. Check that "
            "SHOPIFY_STORE is the store's own host (….myshopify.com).",
            retryable=True,
            service_down=True,
        ) from None
    return read(Reply, body, document.name)


def status_error(status: int, document: Document) -> JobError:
    """The error for an HTTP status other than 200 and 401."""
    details = {"status": status, "operation": document.name}
    if status == 429:
        return RateLimitError(
            f"Shopify refused {document.name}: too many requests, after all retries. {SLOWER}",
            details=details,
        )
    if status >= 500:
        unsure = " It may have acted on it; the next attempt looks first." * document.mutates
        return TargetError(
            f"Shopify failed at {document.name} (HTTP {status}).{unsure} {TROUBLE}",
            details=details,
            retryable=True,
        )
    if 300 <= status < 400:
        advice = "it redirects: set SHOPIFY_STORE to the store's ….myshopify.com host"
    else:
        advice = _STATUS_ADVICE.get(
            status, "the request is not as it expects: report this as a defect"
        )
    return TargetError(
        f"Shopify refused {document.name} (HTTP {status}): {advice}.", details=details
    )


def graphql_error(reply: Reply, document: Document) -> TargetError:
    """The error for an answer whose `errors` leave nothing to work with."""
    codes = tuple(error.code or "" for error in reply.errors)
    said = "; ".join(quote(error.message) for error in reply.errors) or "no data and no reason"
    details = {"codes": list(codes), "operation": document.name}
    retryable = False
    if "ACCESS_DENIED" in codes:
        what = f"grant the app the scope {document.scope}" if document.scope else "check its scopes"
        message = f"Shopify denies access for {document.name}: {what} and install it again."
    elif "SHOP_INACTIVE" in codes:
        message = "The Shopify store is inactive: its owner has to reopen it."
    elif INTERNAL in codes:
        message, retryable = f"Shopify failed at {document.name}. {TROUBLE}", True
    elif not reply.errors:
        message, retryable = f"Shopify answered {document.name} without data. {TROUBLE}", True
    else:
        message = f"Shopify does not understand {document.name}; check SHOPIFY_API_VERSION."
    return TargetError(
        f"{message} It says: {said}",
        details=details,
        retryable=retryable,
        service_down=True,  # it answered nothing about the photo
        refuses_all=not _REFUSALS.isdisjoint(codes),
    )


def user_errors(what: str, errors: tuple[UserError, ...]) -> TargetError:
    """The error for `userErrors`, with all codes and fields."""
    temporary = {"FILE_LOCKED", "NON_READY_STATE"}
    codes = [error.code for error in errors if error.code]
    return TargetError(
        f"Shopify rejected the attempt to {what}: {'; '.join(map(str, errors))}. Fix this in "
        f"Shopify, "
        "then `photopipe retry JOB`.",
        details={"codes": codes, "fields": [".".join(error.field or ()) for error in errors]},
        retryable=bool(codes) and set(codes) <= temporary,
        service_down=INTERNAL in codes,
        refuses_all=not _REFUSALS.isdisjoint(codes),
    )
