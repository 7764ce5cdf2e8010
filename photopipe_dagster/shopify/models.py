"""What Shopify answers, typed and frozen: no raw JSON leaves this package.

Signed URLs (of an original, of a staged upload) never reach a representation or an error: of an
original only the file name is kept, and an answer that does not fit is described without its
values.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import AliasPath, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from photopipe_dagster.core.errors import TargetError

_URL = re.compile(r"""https?://[^\s"'<>]+""")
_LONGEST_QUOTE = 300


class Model(BaseModel):
    """Frozen; reads Shopify's camelCase; ignores what it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


AnyModel = TypeVar("AnyModel", bound=BaseModel)


def read(model: type[AnyModel], data: object, what: str) -> AnyModel:
    """Data from Shopify as a model.

    Args:
        what: What was asked for, for the message.

    Raises:
        TargetError: It does not fit; the message names the fields, never their values.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        where = ", ".join(
            ".".join(str(part) for part in problem["loc"]) or "everything"
            for problem in error.errors(include_input=False, include_url=False)
        )
    raise TargetError(
        f"Shopify's answer for {what} has not the expected shape (at {where}). "
        "Check SHOPIFY_API_VERSION, and that SHOPIFY_STORE is a Shopify store.",
        details={"fields": where},
        service_down=True,
    )


def quote(text: str) -> str:
    """Shopify's words, fit to be shown: one line, short, URLs without their query."""
    flat = " ".join(text.split())
    return _URL.sub(lambda found: found.group().split("?")[0], flat)[:_LONGEST_QUOTE]


def file_name(url: str | None) -> str | None:
    """The file's name at the end of a URL, without its query; ``None`` if there is none."""
    if not url:
        return None
    return unquote(urlsplit(url).path.rsplit("/", 1)[-1]) or None


# --- cost and errors -----------------------------------------------------------------------


class ThrottleStatus(Model):
    """State of the bucket of cost points, in points and points per second."""

    maximum_available: float
    currently_available: float
    restore_rate: float


class Cost(Model):
    """What an operation was reckoned to cost, in points."""

    requested_query_cost: float | None = None
    throttle_status: ThrottleStatus | None = None


class UserError(Model):
    """What Shopify finds wrong with an input."""

    message: str
    field: tuple[str, ...] | None = None
    code: str | None = None

    def __str__(self) -> str:
        where = f" at {'.'.join(self.field)}" if self.field else ""
        return f"{self.code or 'refused'}{where}: {quote(self.message)}"


# --- products ------------------------------------------------------------------------------


class Node(Model):
    """Anything that has an id, and of which nothing else counts."""

    id: str


class PageInfo(Model):
    """Whether there is more, and from where."""

    has_next_page: bool
    end_cursor: str | None = None


Item = TypeVar("Item")


class Page(Model, Generic[Item]):
    """One page of a search or a list."""

    nodes: tuple[Item, ...] = Field(repr=False)
    page_info: PageInfo


class Category(Model):
    """A category of Shopify's standard product taxonomy.

    Args:
        id: ``gid://shopify/TaxonomyCategory/…``.
        full_name: With those above it, such as ``Apparel & Accessories > Clothing``.
    """

    id: str
    full_name: str


class Product(Model):
    """A product as a variant names it.

    Args:
        id: ``gid://shopify/Product/…``.
        status: ACTIVE, DRAFT, UNLISTED or ARCHIVED.
        product_type: The merchant's own word for its kind; empty if there is none.
        category: ``None`` if it was given none.
    """

    id: str
    title: str
    handle: str
    status: str
    product_type: str = ""
    category: Category | None = None


class Variant(Model):
    """A variant with its product."""

    id: str
    sku: str | None = None
    product: Product


class ListedVariant(Model):
    """A variant in a list of all; a barcode of spaces is none."""

    sku: str | None = None
    barcode: str | None = None
    title: str = Field(validation_alias=AliasPath("product", "title"))


# --- files and media -----------------------------------------------------------------------


class FileStatus(StrEnum):
    """How far Shopify is with a file."""

    UPLOADED = "UPLOADED"
    PROCESSING = "PROCESSING"
    READY = "READY"
    FAILED = "FAILED"


class FileProblem(Model):
    """Why Shopify could not process a file."""

    code: str
    message: str = ""
    details: str | None = None

    def __str__(self) -> str:
        return f"{self.code}: {quote(self.message or self.details or 'no reason given')}"


def _address(*path: str) -> Any:
    """A signed URL inside of the answer; ``None`` where any part of the way to it is missing."""
    return Field(None, repr=False, validation_alias=AliasPath(*path, "url"))


def _public(url: str | None) -> str | None:
    return url.split("?")[0] if url else None


class MediaFile(Model):
    """An image in Shopify's file library.

    Args:
        id: ``gid://shopify/MediaImage/…``.
    """

    id: str
    alt: str | None = None
    status: FileStatus = Field(alias="fileStatus")
    image_url: str | None = _address("image")
    original_url: str | None = _address("originalSource")
    preview_url: str | None = _address("preview", "image")
    media_errors: tuple[FileProblem, ...] = ()
    file_errors: tuple[FileProblem, ...] = ()

    @property
    def url(self) -> str | None:
        """Public address of the processed image without its query; ``None`` until READY."""
        return _public(self.image_url)

    @property
    def filename(self) -> str | None:
        """Its name as far as Shopify tells: MediaImage has no such field, so it is read from the
        image's URL, else from that of the original or the preview, which may all be missing before
        READY.
        """
        known = (self.image_url, self.original_url, self.preview_url)
        return next(filter(None, map(file_name, known)), None)

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        """Why it FAILED."""
        told = (*self.media_errors, *self.file_errors)
        return tuple({(problem.code, problem.message): problem for problem in told}.values())

    @property
    def usable(self) -> bool:
        """Whether there is a picture to show.

        A FAILED file with a picture was READY before: somebody's later change of it failed, and
        the picture is still there. It is neither remade nor deleted.
        """
        return self.url is not None and self.status in (FileStatus.READY, FileStatus.FAILED)

    @property
    def failed(self) -> bool:
        """Whether processing failed and left no picture."""
        return self.status is FileStatus.FAILED and self.url is None


class StagedParameter(Model):
    """One form field of a staged upload; its value may be a signature."""

    name: str
    value: str = Field(repr=False)


class StagedTarget(Model):
    """Where a file is uploaded before Shopify takes it over.

    Args:
        url: Takes the form.
        resource_url: What `fileCreate` is told.
        parameters: Form fields in the order in which they are sent.
    """

    url: SecretStr
    resource_url: SecretStr
    parameters: tuple[StagedParameter, ...] = Field(repr=False)


class ProductMedia(Model):
    """One media of a product.

    Args:
        id: ``gid://shopify/MediaImage/…`` or another kind of media.
        kind: ``MediaImage``, ``Video``, ….
        image_url: ``None`` for what is no image or not READY.
    """

    id: str
    kind: str = Field(alias="__typename")
    status: str
    alt: str | None = None
    image_url: str | None = _address("image")

    @property
    def url(self) -> str | None:
        """Its public address."""
        return _public(self.image_url)
