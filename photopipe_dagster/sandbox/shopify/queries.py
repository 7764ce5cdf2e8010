"""Resolvers of everything that is read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from graphql import GraphQLError

from photopipe_dagster.sandbox.shopify.context import RequestContext
from photopipe_dagster.sandbox.shopify.records import (
    Job,
    MediaFile,
    Metafield,
    Product,
    Record,
    Variant,
)
from photopipe_dagster.sandbox.shopify.search import Texts, parse

MAX_PAGE: Final = 250
MAX_IDS: Final = 250
SUPPORTED_VERSIONS: Final = ("2026-01", "2026-04", "2026-07", "2026-10")
RELEASE_CANDIDATE: Final = "2027-01"

Resolver = Callable[..., Any]
"""Given what it is a field of, the request's context, and the arguments."""

_PRODUCT_FIELDS: Final = frozenset(
    {"id", "title", "handle", "vendor", "product_type", "tag", "status", "sku"}
)
_VARIANT_FIELDS: Final = frozenset(
    {"id", "sku", "title", "product_id", "product_status", "vendor", "product_type", "tag"}
)
_FILE_FIELDS: Final = frozenset({"id", "ids", "filename", "media_type", "status", "product_id"})


# --- connections ---------------------------------------------------------------------------


def connection(
    records: Sequence[Record],
    *,
    first: int | None = None,
    last: int | None = None,
    after: str | None = None,
    before: str | None = None,
    reverse: bool = False,
    **_: Any,
) -> dict[str, Any]:
    """A page of records, as a connection.

    Raises:
        GraphQLError: Neither or both of ``first`` and ``last``, a size that is not possible, or a
            cursor that was not made here.
    """
    if (first is None) == (last is None):
        raise GraphQLError("you must provide one of first or last")
    size = first if first is not None else last
    if size is None or not 0 < size <= MAX_PAGE:
        raise GraphQLError(f"first and last must be from 1 to {MAX_PAGE}")
    ordered = list(reversed(records)) if reverse else list(records)
    ids = [record.id for record in ordered]
    start = ids.index(_uncursor(after, ids)) + 1 if after else 0
    end = ids.index(_uncursor(before, ids)) if before else len(ids)
    low, high = (
        (start, min(end, start + size)) if first is not None else (max(start, end - size), end)
    )
    page = ordered[low:high]
    return {
        "nodes": page,
        "edges": [{"cursor": _cursor(record.id), "node": record} for record in page],
        "pageInfo": {
            "hasNextPage": high < len(ordered),
            "hasPreviousPage": low > 0,
            "startCursor": _cursor(page[0].id) if page else None,
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


def _sorted(records: Iterable[Record], by: str) -> list[Record]:
    """In the order of a sort key; what the stand-in has no figures for, by id."""
    by_id = sorted(records, key=lambda record: record.number)
    attribute = by.lower()
    if by == "ID" or not all(hasattr(record, attribute) for record in by_id):
        return by_id
    return sorted(by_id, key=lambda record: getattr(record, attribute))


def _search(
    context: RequestContext,
    name: str,
    candidates: Iterable[tuple[Record, Texts]],
    fields: frozenset[str],
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """A page of what a search finds, and a warning of each field that it does not know."""
    query = arguments.pop("query", None)
    search = parse(query, fields)
    if search.unknown:
        message = "Invalid search field for this query."
        warnings = [
            {"field": each, "message": message, "code": "invalid_field"} for each in search.unknown
        ]
        context.warnings.append({"path": [name], "query": query, "warnings": warnings})
    found = [record for record, texts in candidates if search.matches(texts)]
    return connection(_sorted(found, arguments.pop("sortKey", "ID")), **arguments)


def _ids(record: Record) -> list[str]:
    return [record.id, record.legacy_resource_id]


# --- root --------------------------------------------------------------------------------


def _products(_: None, context: RequestContext, **arguments: Any) -> dict[str, Any]:
    store = context.store
    candidates = [
        (product, _product_texts(product))
        for product in store.products.values()
        if store.indexed(product)
    ]
    return _search(context, "products", candidates, _PRODUCT_FIELDS, arguments)


def _product_texts(product: Product) -> Texts:
    skus = [variant.sku for variant in product.variants]
    texts = {
        "title": [product.title],
        "vendor": [product.vendor],
        "product_type": [product.product_type],
        "handle": [product.handle],
        "tag": product.tags,
        "sku": skus,
    }
    default = [text for found in texts.values() for text in found]
    return {**texts, "id": _ids(product), "status": [product.status], "default": default}


def _variants(_: None, context: RequestContext, **arguments: Any) -> dict[str, Any]:
    store = context.store
    candidates = []
    for product in store.products.values():
        if not store.indexed(product):
            continue
        for variant in product.variants:
            texts = {
                **_product_texts(product),
                "id": _ids(variant),
                "sku": [variant.sku],
                "title": [variant.title],
                "product_id": _ids(product),
                "product_status": [product.status],
            }
            candidates.append((variant, texts))
    return _search(context, "productVariants", candidates, _VARIANT_FIELDS, arguments)


def _files(_: None, context: RequestContext, **arguments: Any) -> dict[str, Any]:
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
    return _search(context, "files", candidates, _FILE_FIELDS, arguments)


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


def _variant(_: None, context: RequestContext, id: str) -> Variant | None:  # noqa: A002
    return context.store.variant(_checked(id))


def _by_identifier(_: None, context: RequestContext, identifier: dict[str, Any]) -> Product | None:
    return find_product(context, identifier)


def find_product(context: RequestContext, identifier: dict[str, Any]) -> Product | None:
    """The product with an id, a handle, or a value of a metafield of type ``id``."""
    store = context.store
    if "id" in identifier:
        return store.products.get(_checked(identifier["id"]))
    if "handle" in identifier:
        products = store.products.values()
        return next((one for one in products if one.handle == identifier["handle"]), None)
    custom = identifier["customId"]
    place = (custom.get("namespace") or "app", custom["key"])
    for product in store.products.values():
        metafield = product.metafields.get(place)
        if metafield and metafield.type == "id" and metafield.value == custom["value"]:
            return product
    return None


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


def _versions(_: None, context: RequestContext) -> list[dict[str, Any]]:
    known = [(name, True) for name in SUPPORTED_VERSIONS]
    unstable = [(RELEASE_CANDIDATE, False), ("unstable", False)]
    return [
        {"handle": name, "displayName": name, "supported": supported}
        for name, supported in known + unstable
    ]


# --- products and variants -----------------------------------------------------------------


def _product_media(product: Product, context: RequestContext, **arguments: Any) -> dict[str, Any]:
    files = context.store.files
    media = [files[gid] for gid in product.media_ids]
    if arguments.pop("sortKey", "POSITION") == "ID":
        media.sort(key=lambda file: file.number)
    if arguments.pop("query", None):
        raise GraphQLError("the sandbox does not search the media of a product")
    return connection(media, **arguments)


def _featured_media(product: Product, context: RequestContext) -> MediaFile | None:
    files = context.store.files
    return files[product.media_ids[0]] if product.media_ids else None


def _product_variants(
    product: Product, context: RequestContext, **arguments: Any
) -> dict[str, Any]:
    return connection(_sorted(product.variants, arguments.pop("sortKey", "POSITION")), **arguments)


def _product_metafields(
    product: Product, context: RequestContext, **arguments: Any
) -> dict[str, Any]:
    namespace, keys = arguments.pop("namespace", None), arguments.pop("keys", None)
    chosen = [
        metafield
        for metafield in product.metafields.values()
        if (namespace is None or metafield.namespace == namespace)
        and (keys is None or f"{metafield.namespace}.{metafield.key}" in keys)
    ]
    return connection(chosen, **arguments)


def _product_metafield(
    product: Product, context: RequestContext, key: str, namespace: str | None = None
) -> Metafield | None:
    if namespace is None and "." in key:
        namespace, _, key = key.rpartition(".")
    return product.metafields.get((namespace or "app", key))


def _variant_media(variant: Variant, context: RequestContext, **arguments: Any) -> dict[str, Any]:
    files = context.store.files
    return connection([files[gid] for gid in variant.media_ids], **arguments)


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


def _mime_type(file: MediaFile, context: RequestContext) -> str | None:
    return file.content_type if context.status(file) == "READY" else None


RESOLVERS: Final[dict[str, dict[str, Resolver]]] = {
    "QueryRoot": {
        "products": _products,
        "productVariants": _variants,
        "files": _files,
        "node": _node,
        "nodes": _nodes,
        "product": _product,
        "productVariant": _variant,
        "productByIdentifier": _by_identifier,
        "job": _job,
        "shop": _shop,
        "currentAppInstallation": _installation,
        "publicApiVersions": _versions,
    },
    "Product": {
        "media": _product_media,
        "mediaCount": lambda product, _: {
            "count": len(product.media_ids),
            "precision": "EXACT",
        },
        "featuredMedia": _featured_media,
        "variants": _product_variants,
        "totalVariants": lambda product, _: len(product.variants),
        "metafield": _product_metafield,
        "metafields": _product_metafields,
    },
    "ProductVariant": {
        "displayName": lambda variant, context: (
            f"{_variant_product(variant, context).title} - {variant.title}"
        ),
        "media": _variant_media,
        "product": _variant_product,
    },
    "MediaImage": {
        "image": _image,
        "originalSource": _original_source,
        "mediaErrors": _problems,
        "fileErrors": _problems,
        "mediaWarnings": lambda file, _: [],
        "status": _status,
        "fileStatus": _status,
        "preview": _preview,
        "mimeType": _mime_type,
        "mediaContentType": lambda file, _: "IMAGE",
    },
    "Job": {"query": lambda job, _: {}},
}
"""Resolvers by type and field; every other field is an attribute or an item of its record."""
