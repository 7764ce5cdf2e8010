"""The outside calls of a photo, and the faults that can be made to happen to them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx

from photopipe_dagster.core.photo import STAGES, Stage
from photopipe_dagster.sandbox.faults import Fault

CANARY: Final = "CANARY0123456789"
"""Stands in every signed URL and in what services say; nobody may ever see it."""

_CLIENT_CREDENTIALS: Final = {"shopify_access_token": None}


@dataclass(frozen=True, slots=True)
class Call:
    """Something that a stage asks of the outside.

    Args:
        stage: The stage that is run; what it needs of earlier ones is prepared.
        operation: Its name in the simulators' plan of faults.
        asked: ``METHOD path`` as a pattern; of GraphQL, the operation tells.
        settings: What has to be set for the call to be made at all.
        replaces: Whether the product has an earlier picture of the photo, which gives way.
        goes_on: Whether the photo goes on from that stage until it is published, as it usually
            does. A background that it needs is there.
    """

    stage: Stage | None
    operation: str = ""
    asked: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    replaces: bool = False
    goes_on: bool = False

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is run."""
        if self.stage is None:
            return ()
        return STAGES[STAGES.index(self.stage) :] if self.goes_on else (self.stage,)

    @property
    def publishes(self) -> bool:
        """Whether the photo ends on a product."""
        return Stage.SHOPIFY_MEDIA in self.stages

    def is_asked_by(self, request: httpx.Request) -> bool:
        """Whether a request is this call."""
        if request.url.path.endswith("/graphql.json"):
            root_field = self.operation.partition(".")[2]
            return f" {root_field}(" in json.loads(request.content)["query"]
        return bool(self.asked) and bool(
            re.fullmatch(self.asked, f"{request.method} {request.url.path}")
        )


def _shop(root_field: str, *, replaces: bool = False) -> Call:
    return Call(Stage.SHOPIFY_MEDIA, f"shopify.{root_field}", replaces=replaces)


_UPLOAD: Final = {"freepik_input": "upload"}

CALLS: Final[Mapping[str, Call]] = {
    "3JMS poll": Call(None, "threejms.photos", "GET /threejms/photos"),
    "photo download": Call(Stage.ORIGINAL, "threejms.files", "GET /threejms/files/.*"),
    "Shopify token, before paying": Call(
        Stage.MASK,
        "shopify.oauth",
        "POST .*/oauth/access_token",
        _CLIENT_CREDENTIALS,
        goes_on=True,
    ),
    "product look-up, before paying": Call(Stage.MASK, "shopify.productVariants", goes_on=True),
    "upload request": Call(
        Stage.MASK, "freepik.uploads.request", "POST .*/uploads/request-url", _UPLOAD
    ),
    "upload of the photo": Call(Stage.MASK, "freepik.uploads.put", "PUT .*/_uploads/.*", _UPLOAD),
    "cut-out request": Call(Stage.MASK, "freepik.remove_background", "POST .*/remove-background"),
    "cut-out download": Call(Stage.MASK, "freepik.download", "GET .*/images/download/.*"),
    "background request": Call(Stage.BACKGROUND, "freepik.mystic.create", "POST .*/ai/mystic"),
    "background poll": Call(Stage.BACKGROUND, "freepik.mystic.get", "GET .*/ai/mystic/.*"),
    "background download": Call(Stage.BACKGROUND, "freepik.mystic.download", "GET /freepik/cdn/.*"),
    "Shopify token": Call(
        Stage.SHOPIFY_MEDIA, "shopify.oauth", "POST .*/oauth/access_token", _CLIENT_CREDENTIALS
    ),
    "product look-up": _shop("productVariants"),
    "file search": _shop("files"),
    "upload target": _shop("stagedUploadsCreate"),
    "upload to the target": Call(
        Stage.SHOPIFY_MEDIA, "shopify.staged_upload", "POST /shopify/_staged/.*"
    ),
    "media create": _shop("fileCreate"),
    "media poll": _shop("node"),
    "attach": _shop("fileUpdate"),
    "product's media": _shop("product", replaces=True),
    "reorder": _shop("productReorderMedia", replaces=True),
    "object head": Call(Stage.MASK, "s3.head", "HEAD masks/"),
    "object get": Call(Stage.MASK, "s3.get", "GET originals/"),
    "object put": Call(Stage.MASK, "s3.put", "PUT masks/"),
    "folder put": Call(Stage.MASK, "folder.put", "masks/"),
    "ledger: begin": Call(Stage.MASK, "ledger.transitions.begin"),
    "ledger: reserve": Call(Stage.MASK, "ledger.spending.reserve"),
    "ledger: reference": Call(Stage.MASK, "ledger.spending.submitted"),
    "ledger: settle": Call(Stage.MASK, "ledger.spending.settle"),
    "ledger: advance": Call(Stage.MASK, "ledger.transitions.advance"),
    "ledger: media id": Call(Stage.SHOPIFY_MEDIA, "ledger.catalogue.created_media"),
}

NOT_CONNECTED: Final = "timeout before send"
LOCKED: Final = "ledger locked"
DISK_FULL: Final = "disk full"

_SIGNED: Final = f"https://bucket.example/a.jpg?X-Amz-Signature={CANARY}"

_KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "timeout after send, nothing done": {"kind": "timeout_before"},
    "timeout after send, done": {"kind": "timeout_after"},
    "connection reset, nothing done": {"kind": "reset"},
    "connection reset, done": {"kind": "reset_after"},
    "429 with Retry-After": {"kind": "status", "status": 429, "headers": {"retry-after": "7"}},
    "truncated body": {"kind": "truncated"},
    "wrong content type": {"kind": "wrong_content_type"},
    "wrong JSON": {"kind": "wrong_json"},
    "a web page": {"kind": "html"},
    "redirect to a private address": {"kind": "redirect"},
    "GraphQL THROTTLED": {"kind": "throttled"},
    "GraphQL INTERNAL_SERVER_ERROR": {"kind": "graphql_error", "code": "INTERNAL_SERVER_ERROR"},
    "GraphQL ACCESS_DENIED": {"kind": "graphql_error", "code": "ACCESS_DENIED"},
    "userErrors": {"kind": "user_error"},
    "media FAILED": {"kind": "media_failed"},
    "media FAILED, passing": {"kind": "media_failed", "code": "MEDIA_TIMEOUT_ERROR"},
    "task FAILED": {"kind": "task_failed"},
    "not safe for work": {"kind": "nsfw"},
}

HANGS: Final = frozenset({"timeout_before", "timeout_after"})
"""Kinds that end when the client has no patience any more."""

_EXPIRED: Final = {
    # Results that are dead from the start; elsewhere an address that is refused as expired.
    "freepik.remove_background": {"kind": "expired_url"},
    "freepik.mystic.create": {"kind": "expired_url"},
}


def stand_ins_fault(call: Call, name: str, *, lasting: bool) -> Fault:
    """A fault of the table, as the simulators know it."""
    how: dict[str, Any]
    if name.isdigit():
        how = {"kind": "status", "status": int(name), "body": _refusal(call.operation)}
    elif name == "expired URL":
        body = f"<Error><Code>AccessDenied</Code><Message>Expired {_SIGNED}</Message></Error>"
        refused = {"kind": "status", "status": 403, "body": body}
        how = dict(_EXPIRED.get(call.operation, refused))
    else:
        how = {"message": f"Made to fail at {_SIGNED}.", **_KINDS[name]}
    return Fault(match=call.operation, times=None if lasting else 1, **how)


def _refusal(operation: str) -> str:
    """A refusal in the service's own form, which repeats a signed URL."""
    service: Literal["freepik", "shopify"] | str = operation.partition(".")[0]
    word = {"freepik": "message", "shopify": "errors"}.get(service, "detail")
    return json.dumps({word: f"Cannot do it with {_SIGNED}"})
