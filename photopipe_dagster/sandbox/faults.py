"""What can be made to go wrong, and where.

Operations, by the names that faults, latencies and counters use:

    ===========================  ==========================================================
    threejms.photos              GET  /threejms/photos
    threejms.files               GET  /threejms/files/{id}.jpg
    freepik.remove_background    POST /freepik/v1/ai/beta/remove-background
    freepik.download             GET  of a cut-out's picture
    freepik.mystic.create        POST /freepik/v1/ai/mystic
    freepik.mystic.get           GET  /freepik/v1/ai/mystic/{task}
    freepik.mystic.list          GET  /freepik/v1/ai/mystic
    freepik.mystic.download      GET  of a Mystic picture
    freepik.uploads.request      POST /freepik/v1/ai/uploads/request-url
    freepik.uploads.put          PUT  of the bytes to an upload URL
    freepik.uploads.list         GET  /freepik/v1/ai/uploads
    freepik.uploads.download     GET  of an uploaded asset
    shopify.oauth                POST /shopify/admin/oauth/access_token
    shopify.graphql              any GraphQL document
    shopify.<root field>         a document with that field: shopify.productVariants,
                                 shopify.fileCreate, shopify.node, shopify.files, …
    shopify.staged_upload        POST or PUT of the bytes to a staged target
    shopify.cdn                  GET  of a published picture
    ===========================  ==========================================================

Latencies know three names more, which are not requests but work in the background, measured on the
sandbox's clock: ``freepik.mystic.task`` (creation to result), ``shopify.media`` (creation to READY)
and ``shopify.search_index`` (creation until a search finds it).

Kinds of faults:

    ===================  ==================================================================
    status               answer ``status`` with ``headers`` and ``body``; nothing is done
    html                 answer 200 with an HTML page; nothing is done
    redirect             answer 302 to ``location``, a private address; nothing is done
    huge                 answer ``size_bytes`` of zeros, streamed; nothing is done
    timeout_before       no answer for ``seconds``, then the connection drops; nothing is done
    timeout_after        the same, but the work was done, and charged
    reset                the connection drops at once; nothing is done
    reset_after          the same, but the work was done, and charged
    truncated            the work is done; half of the answer's body comes
    wrong_content_type   the work is done; the answer says ``content_type``
    wrong_json           the work is done; the answer is JSON of another shape
    throttled            shopify: HTTP 200 with THROTTLED; nothing is done
    graphql_error        shopify: HTTP 200 with an error of ``code``, no data; nothing is done
    user_error           shopify mutations: a user error of ``code``; nothing is done
    media_failed         shopify: what this document creates will be FAILED with ``code``
    expired_url          freepik: the URLs that this request makes are dead from the start
    task_failed          freepik.mystic.create: the task will be FAILED
    nsfw                 freepik.mystic.create: the result will be flagged
    ===================  ==================================================================
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import count
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ROOT_FIELDS: Final = (
    "productVariants",
    "products",
    "product",
    "productVariant",
    "productByIdentifier",
    "node",
    "nodes",
    "files",
    "job",
    "shop",
    "currentAppInstallation",
    "publicApiVersions",
    "fileCreate",
    "fileUpdate",
    "fileDelete",
    "stagedUploadsCreate",
    "productReorderMedia",
    "productVariantAppendMedia",
    "productCreateMedia",
    "productUpdate",
    "productDeleteMedia",
    "metafieldsSet",
)
"""Root fields of the Shopify schema that is served."""

OPERATIONS: Final = (
    "threejms.photos",
    "threejms.files",
    "freepik.remove_background",
    "freepik.download",
    "freepik.mystic.create",
    "freepik.mystic.get",
    "freepik.mystic.list",
    "freepik.mystic.download",
    "freepik.uploads.request",
    "freepik.uploads.put",
    "freepik.uploads.list",
    "freepik.uploads.download",
    "shopify.oauth",
    "shopify.graphql",
    "shopify.staged_upload",
    "shopify.cdn",
    *(f"shopify.{field}" for field in ROOT_FIELDS),
)

BACKGROUND_WORK: Final = ("freepik.mystic.task", "shopify.media", "shopify.search_index")
"""Names that latencies know beside the operations."""

Kind = Literal[
    "status",
    "html",
    "redirect",
    "huge",
    "timeout_before",
    "timeout_after",
    "reset",
    "reset_after",
    "truncated",
    "wrong_content_type",
    "wrong_json",
    "throttled",
    "graphql_error",
    "user_error",
    "media_failed",
    "expired_url",
    "task_failed",
    "nsfw",
]

_GRAPHQL: Final = frozenset({"shopify.graphql", *(f"shopify.{field}" for field in ROOT_FIELDS)})
_MEDIA: Final = frozenset(
    {"shopify.fileCreate", "shopify.productUpdate", "shopify.productCreateMedia"}
)

INSIDE: Final[dict[str, frozenset[str]]] = {
    "throttled": _GRAPHQL,
    "graphql_error": _GRAPHQL,
    "user_error": frozenset(
        name for name in _GRAPHQL if name.endswith(("Create", "Update", "Delete", "Media", "Set"))
    ),
    "media_failed": _MEDIA,
    "expired_url": frozenset({"freepik.remove_background", "freepik.mystic.create"}),
    "task_failed": frozenset({"freepik.mystic.create"}),
    "nsfw": frozenset({"freepik.mystic.create"}),
}
"""Kinds that a stand-in acts out itself, and the operations that know them."""


class Fault(BaseModel):
    """One thing that goes wrong.

    Args:
        match: Name of an operation, or a pattern such as ``freepik.*``.
        kind: What happens; see the table.
        status: Of kind ``status``.
        headers: Of kind ``status``.
        body: Of kind ``status``; the service's own words where not given.
        times: How often it happens; ``None`` for ever.
        skip: How many matching requests pass before the first.
        probability: Chance that it happens to a matching request.
        seconds: How long a timeout holds the connection, at most.
        code: Error code of ``graphql_error``, ``user_error`` and ``media_failed``.
        message: Text beside the code.
        content_type: Of kind ``wrong_content_type``.
        location: Of kind ``redirect``.
        size_bytes: Of kind ``huge``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: str
    kind: Kind
    status: int = Field(503, ge=200, le=599)
    headers: dict[str, str] = {}
    body: str | None = None
    times: int | None = Field(1, ge=1)
    skip: int = Field(0, ge=0)
    probability: float = Field(1.0, gt=0, le=1)
    seconds: float = Field(300.0, ge=0)
    code: str | None = None
    message: str = "Made to fail."
    content_type: str = "text/plain"
    location: str = "http://169.254.169.254/latest/meta-data/"
    size_bytes: int = Field(64 * 1024 * 1024, ge=1)

    @field_validator("match")
    @classmethod
    def _known(cls, match: str) -> str:
        if not any(fnmatchcase(name, match) for name in OPERATIONS):
            raise ValueError(f"{match!r} matches no operation; known are {', '.join(OPERATIONS)}")
        return match

    @model_validator(mode="after")
    def _possible(self) -> Fault:
        if not any(self.fits(name) for name in OPERATIONS):
            known = ", ".join(sorted(INSIDE[self.kind]))
            raise ValueError(f"{self.kind} is known to {known} only, not to {self.match}")
        return self

    def fits(self, operation: str) -> bool:
        """Whether this fault can happen to an operation."""
        inside = INSIDE.get(self.kind)
        return fnmatchcase(operation, self.match) and (inside is None or operation in inside)


class PlannedFault(BaseModel):
    """A fault as it stands: its number and how often it has happened."""

    id: int
    fault: Fault
    happened: int


class Faults:
    """The faults that are planned; each matching request takes the first that is due."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self._start()

    def _start(self) -> None:
        self._ids = count(1)
        self._dice = random.Random(self._seed)
        self._plan: dict[int, Fault] = {}
        self._seen: dict[int, int] = {}
        self._happened: dict[int, int] = {}

    def add(self, fault: Fault) -> int:
        """Plan a fault and return its number."""
        with self._lock:
            number = next(self._ids)
            self._plan[number] = fault
            self._seen[number] = self._happened[number] = 0
            return number

    def take(self, operations: Sequence[str]) -> Fault | None:
        """The fault that happens to a request, if any; counts it."""
        with self._lock:
            for number, fault in self._plan.items():
                if not any(fault.fits(operation) for operation in operations):
                    continue
                if fault.times is not None and self._happened[number] >= fault.times:
                    continue
                self._seen[number] += 1
                if self._seen[number] <= fault.skip or self._dice.random() >= fault.probability:
                    continue
                self._happened[number] += 1
                return fault
            return None

    def planned(self) -> list[PlannedFault]:
        """All faults, those that are used up too."""
        with self._lock:
            return [
                PlannedFault(id=number, fault=fault, happened=self._happened[number])
                for number, fault in self._plan.items()
            ]

    def remove(self, number: int) -> bool:
        """Forget one fault; ``False`` if there is none of that number."""
        with self._lock:
            return self._plan.pop(number, None) is not None

    def clear(self) -> None:
        """Forget all faults and throw the dice anew."""
        with self._lock:
            self._start()
