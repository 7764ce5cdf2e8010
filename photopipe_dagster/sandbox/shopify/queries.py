"""Resolvers of everything that is read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from graphql import GraphQLError

from photopipe_dagster.sandbox.shopify.context import RequestContext
from photopipe_dagster.sandbox.shopify.records import Job, MediaFile, Product, Record, Variant
from photopipe_dagster.sandbox.shopify.search import Texts, parse

MAX_PAGE: Final = 250
MAX_IDS: Final = 250

Resolver = Callable[..., Any]
"""Given what it is a field of, the request's context, and the arguments."""

_VARIANT_FIELDS: Final = frozenset(
    {"id", "sku", "title", "product_id", "product_status", "vendor", "product_type", "tag"}
)
_FILE_FIELDS: Final = frozenset({"id", "ids", "filename", "media_type", "status", "product_id"})


# --- connections ---------------------------------------------------------------------------


def connection(
    records: Sequence[Record], *, first: int | None = None, after: str | None = None
) -> dict[str, Any]:
    """A page of records, as a connection.

    Raises:
        GraphQLError: ``first`` is missing or not possible, or a cursor that was not made here.
    """
    if first is None:
        raise GraphQLError("you must provide one of first or last")
    if not 0 < first <= MAX_PAGE:
        raise GraphQLError(f"first and last must be from 1 to {MAX_PAGE}")
    ids = [record.id for record in records]
    start = ids.index(_uncursor(after, ids)) + 1 if after else 0
    end = start + first
    page = records[start:end]
    return {
        "nodes": page,
        "pageInfo": {
            "hasNextPage": end < len(records),
            "endCursor": _cursor(page[-1].id) if page else None,
        },
    }


def _cursor(gid: str) -> str:
    return base64.urlsafe_b64encode(gid.encode()).decode()


def _uncursor(cursor: str, ids: Sequence[str]) -> str:
    try:
        gid = base64.urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, UnicodeDecodeError):
        gid = ""
    if gid not in ids:
        raise GraphQLError("Invalid cursor for current pagination sort.")
    return gid


def _search(
    context: RequestContext,
    name: str,
    candidates: Iterable[tuple[Record, Texts]],
    fields: frozenset[str],
    query: str | None,
    pages: dict[str, Any],
) -> dict[str, Any]:
    """A page of what a search finds, by id, and a warning of each field that it does not know."""
    search = parse(query, fields)
    if search.unknown:
        message = "Invalid search field for this query."
        warnings = [
            {"field": each, "message": message, "code": "invalid_field"} for each in search.unknown
        ]
        context.warnings.append({"path": [name], "query": query, "warnings": warnings})
    found = [record for record, texts in candidates if search.matches(texts)]
    return connection(sorted(found, key=lambda record: record.number), **pages)


def _ids(record: Record) -> list[str]:
    return [record.id, str(record.number)]


# --- root --------------------------------------------------------------------------------


def _variants(
    _: None, context: RequestContext, query: str | None = None, **pages: Any
) -> dict[str, Any]:
    store = context.store
    candidates = []
    for product in store.products.values():
        if not store.indexed(product):
            continue
        words = [product.title, product.product_type, product.handle]
        words += [variant.sku for variant in product.variants]
        for variant in product.variants:
            texts = {
                "id": _ids(variant),
                "sku": [variant.sku],
                "title": [variant.title],
                "product_id": _ids(product),
                "product_status": [product.status],
                "product_type": [product.product_type],
                "default": words,
            }
            candidates.append((variant, texts))
    return _search(context, "productVariants", candidates, _VARIANT_FIELDS, query, pages)


def _files(
    _: None, context: RequestContext, query: str | None = None, **pages: Any
) -> dict[str, Any]:
    store = context.store
    candidates = []
    for file in store.files.values():
        if not store.indexed(file):
            continue
        users = [product for product in store.products.values() if file.id in product.media_ids]
        texts = {
            "id": _ids(file),
            "ids": _ids(file),
            "filename": [file.filename, file.filename.rpartition(".")[0]],
            "media_type": ["IMAGE"],
            "status": [store.status(file)],
            "product_id": [text for product in users for text in _ids(product)],
            "default": [file.filename, file.alt],
        }
        candidates.append((file, texts))
    return _search(context, "files", candidates, _FILE_FIELDS, query, pages)


def _checked(gid: str) -> str:
    kind, _, number = gid.removeprefix("gid://shopify/").partition("/")
    if not gid.startswith("gid://shopify/") or not kind or not number.isdigit():
        raise GraphQLError(f"Invalid global id '{gid}'")
    return gid


def _node(_: None, context: RequestContext, id: str) -> Record | None:  # noqa: A002
    return context.store.node(_checked(id))


def _nodes(_: None, context: RequestContext, ids: list[str]) -> list[Record | None]:
    if len(ids) > MAX_IDS:
        raise GraphQLError(
            f"The input array size of {len(ids)} is greater than the maximum allowed of {MAX_IDS}.",
            extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"},
        )
    return [context.store.node(_checked(gid)) for gid in ids]


def _product(_: None, context: RequestContext, id: str) -> Product | None:  # noqa: A002
    return context.store.products.get(_checked(id))


def _job(_: None, context: RequestContext, id: str) -> Job | None:  # noqa: A002
    known = context.store.jobs.get(id)
    return Job(known.id, done=True) if known else None


def _shop(_: None, context: RequestContext) -> dict[str, Any]:
    return {
        "id": "gid://shopify/Shop/1",
        "name": "Sandbox",
        "myshopifyDomain": "sandbox.myshopify.com",
        "url": context.base,
    }


def _installation(_: None, context: RequestContext) -> dict[str, Any]:
    scopes = sorted(context.store.scopes)
    return {
        "id": "gid://shopify/AppInstallation/1",
        "accessScopes": [{"handle": name, "description": name} for name in scopes],
    }


# --- products and variants -----------------------------------------------------------------


def _product_media(product: Product, context: RequestContext, **arguments: Any) -> dict[str, Any]:
    files = context.store.files
    media = [files[gid] for gid in product.media_ids]
    if arguments.pop("sortKey") == "ID":
        media.sort(key=lambda file: file.number)
    return connection(media, **arguments)


def _variant_product(variant: Variant, context: RequestContext) -> Product:
    return context.store.products[variant.product_id]


# --- media ---------------------------------------------------------------------------------


def _image(file: MediaFile, context: RequestContext) -> dict[str, Any] | None:
    if context.status(file) != "READY":
        return None
    return {
        "id": file.id.replace("MediaImage", "ImageSource"),
        "altText": file.alt or None,
        "url": context.image_url(file),
        "width": file.width,
        "height": file.height,
    }


def _original_source(file: MediaFile, context: RequestContext) -> dict[str, Any] | None:
    if context.status(file) != "READY":
        return None
    return {"fileSize": len(file.data or b""), "url": context.image_url(file)}


def _problems(file: MediaFile, context: RequestContext) -> list[dict[str, Any]]:
    if context.status(file) != "FAILED" or file.problem is None:
        return []
    problem = file.problem
    return [{"code": problem.code, "message": problem.message, "details": problem.details}]


def _status(file: MediaFile, context: RequestContext) -> str:
    return context.status(file)


def _preview(file: MediaFile, context: RequestContext) -> dict[str, Any]:
    return {"image": _image(file, context), "status": context.status(file)}


RESOLVERS: Final[dict[str, dict[str, Resolver]]] = {
    "QueryRoot": {
        "productVariants": _variants,
        "files": _files,
        "node": _node,
        "nodes": _nodes,
        "product": _product,
        "job": _job,
        "shop": _shop,
        "currentAppInstallation": _installation,
    },
    "Product": {"media": _product_media},
    "ProductVariant": {"product": _variant_product},
    "MediaImage": {
        "image": _image,
        "originalSource": _original_source,
        "mediaErrors": _problems,
        "fileErrors": _problems,
        "status": _status,
        "fileStatus": _status,
        "preview": _preview,
        "mediaContentType": lambda file, _: "IMAGE",
    },
}
"""Resolvers by type and field; every other field is an attribute or an item of its record."""
