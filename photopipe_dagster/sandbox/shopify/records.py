"""What the simulator of Shopify keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass


@dataclass(slots=True)
class Record:
    """What has a gid.

    Args:
        id: gid.
        created_at: When it was made.
        updated_at: When it or its references last changed.
    """

    id: str
    created_at: datetime
    updated_at: datetime

    @property
    def number(self) -> int:
        """The number in its gid."""
        return int(self.id.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class MediaProblem:
    """Why a file is FAILED: a `MediaErrorCode` and a text."""

    code: str
    message: str
    details: str | None = None


@dataclass(slots=True)
class MediaFile(Record):
    """A picture in the shop's files; ``MediaImage`` to GraphQL.

    Args:
        filename: As it stands in the URL.
        alt: Alternative text.
        source: Where its bytes come from: a staged resource URL or a public one.
        data: The bytes, once they are here.
        content_type: True MIME type of the bytes.
        width: Pixels.
        height: Pixels.
        loaded: Whether the bytes were fetched and looked at, successfully or not.
        loading: Whether somebody is at it.
        problem: Why it will be FAILED.
        polls: In how many requests it was seen unfinished.
        settled: Whether it is READY or FAILED for good.
    """

    filename: str
    alt: str
    source: str
    data: bytes | None = field(default=None, repr=False)
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    loaded: bool = False
    loading: bool = False
    problem: MediaProblem | None = None
    polls: int = 0
    settled: bool = False


@dataclass(slots=True)
class Variant(Record):
    """A variant of a product; ``ProductVariant`` to GraphQL."""

    product_id: str
    sku: str
    title: str
    position: int
    barcode: str | None = None


@pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Category:
    """A category of Shopify's standard taxonomy; ``TaxonomyCategory`` to GraphQL.

    The simulator takes any, and knows none.

    Args:
        id: gid, such as ``gid://shopify/TaxonomyCategory/aa-1``.
        full_name: With those above it, such as ``Apparel & Accessories > Clothing``.
    """

    id: Annotated[str, Field(pattern="^gid://shopify/TaxonomyCategory/[a-z]{2}(-[0-9]+)*$")]
    full_name: str

    @property
    def name(self) -> str:
        """Without those above it."""
        return self.full_name.rpartition(" > ")[2]


@dataclass(slots=True)
class Product(Record):
    """A product with its variants and, by id and in order, its media."""

    title: str
    handle: str
    status: str
    product_type: str
    variants: list[Variant] = field(default_factory=list)
    media_ids: list[str] = field(default_factory=list)
    category: Category | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Work that Shopify does later; done when it is asked for again."""

    id: str
    done: bool
