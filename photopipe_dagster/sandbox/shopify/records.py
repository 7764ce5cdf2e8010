"""What the stand-in of Shopify keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MediaProblem:
    """Why a file is FAILED: a `MediaErrorCode` and a text."""

    code: str
    message: str
    details: str | None = None


@dataclass(slots=True)
class MediaFile:
    """A picture in the shop's files; ``MediaImage`` to GraphQL.

    Args:
        id: gid.
        filename: As it stands in the URL.
        alt: Alternative text.
        source: Where its bytes come from: a staged resource URL or a public one.
        created_at: When it was made.
        updated_at: When it or its references last changed.
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

    id: str
    filename: str
    alt: str
    source: str
    created_at: datetime
    updated_at: datetime
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
class Variant:
    """A variant of a product; ``ProductVariant`` to GraphQL."""

    id: str
    product_id: str
    sku: str
    title: str
    position: int
    created_at: datetime
    updated_at: datetime
    media_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Metafield:
    """A value that an app keeps on a product."""

    id: str
    namespace: str
    key: str
    type: str
    value: str
    created_at: datetime
    updated_at: datetime

    @property
    def compare_digest(self) -> str:
        """Changes with the value: for compare-and-set."""
        return hashlib.sha256(f"{self.type}:{self.value}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Category:
    """A category of Shopify's standard taxonomy; ``TaxonomyCategory`` to GraphQL.

    Args:
        id: gid, such as ``gid://shopify/TaxonomyCategory/aa-1``.
        full_name: With those above it, such as ``Apparel & Accessories > Clothing``.
    """

    id: str
    full_name: str

    @property
    def name(self) -> str:
        """Without those above it."""
        return self.full_name.rpartition(" > ")[2]


@dataclass(slots=True)
class Product:
    """A product with its variants and, by id and in order, its media."""

    id: str
    title: str
    handle: str
    status: str
    vendor: str
    product_type: str
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    variants: list[Variant] = field(default_factory=list)
    media_ids: list[str] = field(default_factory=list)
    metafields: dict[tuple[str, str], Metafield] = field(default_factory=dict)
    category: Category | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Work that Shopify does later; done when it is asked for again."""

    id: str
    done: bool
