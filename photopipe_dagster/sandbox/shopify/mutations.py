"""Resolvers of everything that is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from graphql import GraphQLResolveInfo

from photopipe_dagster.sandbox.shopify.context import RequestContext, context_of
from photopipe_dagster.sandbox.shopify.queries import Resolver, find_product
from photopipe_dagster.sandbox.shopify.records import (
    Job,
    MediaFile,
    MediaProblem,
    Metafield,
    Product,
    Variant,
)
from photopipe_dagster.sandbox.shopify.store import FORMATS, StagedTarget

MAX_MEDIA_PER_PRODUCT: Final = 250
MAX_INPUTS: Final = 250
MAX_ALT: Final = 512
MAX_PAIRS: Final = 100
MAX_METAFIELDS: Final = 25
_MAX_FILENAME: Final = 255
_EXTENSIONS: Final = frozenset(extension for group in FORMATS.values() for extension in group)

Problem = dict[str, Any]
"""A user error: ``field``, ``message`` and, where its type has one, ``code``."""


def _problem(code: str, field: Sequence[str | int], message: str) -> Problem:
    return {"code": code, "field": [str(part) for part in field], "message": message}


def _alt_problem(alt: str | None, field: Sequence[str | int]) -> list[Problem]:
    if alt is None or len(alt) <= MAX_ALT:
        return []
    message = f"The alt value exceeds the maximum limit of {MAX_ALT} characters."
    return [_problem("ALT_VALUE_LIMIT_EXCEEDED", [*field, "alt"], message)]


def _planned_failure(context: RequestContext) -> MediaProblem | None:
    fault = context.fault
    if fault is None or fault.kind != "media_failed":
        return None
    return MediaProblem(fault.code or "IMAGE_PROCESSING_FAILURE", fault.message)


# --- files ---------------------------------------------------------------------------------


def _file_create(_: None, info: GraphQLResolveInfo, files: list[dict[str, Any]]) -> dict[str, Any]:
    context = context_of(info)
    with context.store.lock:
        problems = _too_many(files, "files")
        for index, given in enumerate(files):
            problems += _file_problems(context, given, ["files", index])
        if problems:
            return {"files": [], "userErrors": problems}
        return {"files": [_new_file(context, given) for given in files], "userErrors": []}


def _too_many(given: Sequence[object], field: str) -> list[Problem]:
    if len(given) <= MAX_INPUTS:
        return []
    return [_problem("TOO_MANY_ARGUMENTS", [field], f"At most {MAX_INPUTS} at once.")]


def _file_problems(
    context: RequestContext, given: dict[str, Any], field: list[str | int]
) -> list[Problem]:
    problems = _alt_problem(given.get("alt"), field)
    source = given["originalSource"]
    if not _is_url(source):
        message = "Image URL is invalid."
        problems.append(_problem("INVALID_IMAGE_SOURCE_URL", [*field, "originalSource"], message))
    if given.get("contentType", "IMAGE") != "IMAGE":
        message = "The sandbox takes images only."
        problems.append(_problem("UNACCEPTABLE_ASSET", [*field, "contentType"], message))
    filename, mode = given.get("filename"), given.get("duplicateResolutionMode", "APPEND_UUID")
    if filename is not None:
        problems += _filename_problems(filename, _basename(source), field)
    elif mode == "REPLACE":
        message = "A filename is required to replace a file."
        code = "MISSING_FILENAME_FOR_DUPLICATE_MODE_REPLACE"
        problems.append(_problem(code, [*field, "filename"], message))
    name = stored_name(filename or _basename(source))
    if mode == "RAISE_ERROR" and context.store.file_named(name):
        message = "A file with this name exists already."
        problems.append(_problem("FILENAME_ALREADY_EXISTS", [*field, "filename"], message))
    return problems


def _filename_problems(filename: str, source: str, field: list[str | int]) -> list[Problem]:
    place = [*field, "filename"]
    if (
        not filename.strip()
        or len(filename) > _MAX_FILENAME
        or re.search(r"[/\\\x00-\x1f]", filename)
    ):
        return [_problem("INVALID_FILENAME", place, "The filename is invalid.")]
    extension = PurePosixPath(filename).suffix.lower()
    if extension not in _EXTENSIONS:
        message = "The filename has no extension of an image."
        return [_problem("INVALID_FILENAME_EXTENSION", place, message)]
    of_source = PurePosixPath(source).suffix.lower()
    if of_source and _same(extension) != _same(of_source):
        message = "The extension of the filename differs from that of the original source."
        return [_problem("MISMATCHED_FILENAME_AND_ORIGINAL_SOURCE", place, message)]
    return []


def _same(extension: str) -> str:
    return ".jpg" if extension == ".jpeg" else extension


def _is_url(source: str) -> bool:
    parts = urlsplit(source)
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _basename(source: str) -> str:
    return PurePosixPath(unquote(urlsplit(source).path)).name


def stored_name(filename: str) -> str:
    """A file's name as it stands in its URL: other characters become ``_``."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", filename) or "file"


def _new_file(context: RequestContext, given: dict[str, Any]) -> MediaFile:
    store = context.store
    source, alt = given["originalSource"], given.get("alt") or ""
    name = stored_name(given.get("filename") or _basename(source))
    existing = store.file_named(name)
    if existing is not None and given.get("duplicateResolutionMode") == "REPLACE":
        _start_over(context, existing, source)
        existing.alt = alt or existing.alt
        return existing
    return store.add_file(source, store.free_name(name), alt, _planned_failure(context))


def _start_over(context: RequestContext, file: MediaFile, source: str) -> None:
    file.source, file.data = source, None
    file.loaded = file.settled = False
    file.polls = 0
    file.problem = _planned_failure(context)
    file.updated_at = context.store.clock.now()


def _file_update(_: None, info: GraphQLResolveInfo, files: list[dict[str, Any]]) -> dict[str, Any]:
    context = context_of(info)
    with context.store.lock:
        problems = _too_many(files, "files")
        for index, given in enumerate(files):
            problems += _update_problems(context, given, ["files", index])
        if problems:
            return {"files": [], "userErrors": problems}
        return {"files": [_updated_file(context, given) for given in files], "userErrors": []}


def _update_problems(
    context: RequestContext, given: dict[str, Any], field: list[str | int]
) -> list[Problem]:
    store = context.store
    file = store.files.get(given["id"])
    if file is None:
        message = f"File id {given['id']} does not exist."
        return [_problem("FILE_DOES_NOT_EXIST", [*field, "id"], message)]
    if store.status(file) != "READY":
        # Whoever tries again and again looks at the file, too.
        context.seen.add(file.id)
        return [_problem("NON_READY_STATE", [*field, "id"], "Non-ready files cannot be updated.")]
    problems = _alt_problem(given.get("alt"), field)
    if given.get("filename") is not None:
        problems += _filename_problems(given["filename"], file.filename, field)
    for name in ("referencesToAdd", "referencesToRemove"):
        for gid in given.get(name) or ():
            product = store.products.get(gid)
            if product is None:
                message = "The reference target does not exist."
                problems.append(
                    _problem("REFERENCE_TARGET_DOES_NOT_EXIST", [*field, name], message)
                )
            elif name == "referencesToAdd" and not _has_room(product, file.id):
                message = f"Products have at most {MAX_MEDIA_PER_PRODUCT} media."
                problems.append(_problem("PRODUCT_MEDIA_LIMIT_EXCEEDED", [*field, name], message))
    return problems


def _has_room(product: Product, media_id: str) -> bool:
    return media_id in product.media_ids or len(product.media_ids) < MAX_MEDIA_PER_PRODUCT


def _updated_file(context: RequestContext, given: dict[str, Any]) -> MediaFile:
    store = context.store
    file = store.files[given["id"]]
    if given.get("alt") is not None:
        file.alt = given["alt"]
    if given.get("filename") is not None and given["filename"] != file.filename:
        file.filename = store.free_name(stored_name(given["filename"]))
    for gid in given.get("referencesToAdd") or ():
        media = store.products[gid].media_ids
        if file.id not in media:
            media.append(file.id)
    for gid in given.get("referencesToRemove") or ():
        _detach(store.products[gid], {file.id})
    if given.get("originalSource") is not None:
        _start_over(context, file, given["originalSource"])
    file.updated_at = store.clock.now()
    return file


def _detach(product: Product, gone: set[str]) -> None:
    product.media_ids = [gid for gid in product.media_ids if gid not in gone]
    for variant in product.variants:
        variant.media_ids = [gid for gid in variant.media_ids if gid not in gone]


def _file_delete(_: None, info: GraphQLResolveInfo, fileIds: list[str]) -> dict[str, Any]:  # noqa: N803
    store = context_of(info).store
    with store.lock:
        missing = [gid for gid in fileIds if gid not in store.files]
        if missing:
            message = f"File id {missing[0]} does not exist."
            problems = [_problem("FILE_DOES_NOT_EXIST", ["fileIds"], message)]
            return {"deletedFileIds": None, "userErrors": problems}
        for gid in fileIds:
            store.files.pop(gid, None)
        for product in store.products.values():
            _detach(product, set(fileIds))
        return {"deletedFileIds": fileIds, "userErrors": []}


# --- staged uploads ------------------------------------------------------------------------


def _staged_uploads(
    _: None,
    info: GraphQLResolveInfo,
    input: list[dict[str, Any]],  # noqa: A002
) -> dict[str, Any]:
    context = context_of(info)
    problems: list[Problem] = []
    for index, given in enumerate(input):
        if not given["filename"].strip():
            problems.append(_problem("", ["input", index, "filename"], "Filename is blank."))
        if given["resource"] in {"IMAGE", "PRODUCT_IMAGE"} and given["mimeType"] not in FORMATS:
            message = f"{given['mimeType']} is not a recognised format of an image."
            problems.append(_problem("", ["input", index, "mimeType"], message))
    if problems:
        return {"stagedTargets": [], "userErrors": problems}
    targets = [
        context.store.stage(given["filename"], given["mimeType"], given["httpMethod"])
        for given in input
    ]
    return {"stagedTargets": [_target(context, one) for one in targets], "userErrors": []}


def _target(context: RequestContext, target: StagedTarget) -> dict[str, Any]:
    bucket = f"{context.base}/_staged/"
    resource = bucket + quote(target.key)
    signed = f"{resource}?X-Goog-Signature={target.token}"
    return {
        "url": bucket if target.method == "POST" else signed,
        "resourceUrl": resource,
        "parameters": [{"name": name, "value": value} for name, value in target.parameters.items()],
    }


# --- media of products ---------------------------------------------------------------------


def _media_problems(product: Product, media: Sequence[dict[str, Any]], field: str) -> list[Problem]:
    problems: list[Problem] = []
    for index, given in enumerate(media):
        place: list[str | int] = [field, index]
        if given["mediaContentType"] != "IMAGE":
            message = "The sandbox takes images only."
            problems.append(_problem("INVALID_MEDIA_TYPE", [*place, "mediaContentType"], message))
        if not _is_url(given["originalSource"]):
            message = "Image URL is invalid."
            problems.append(_problem("INVALID", [*place, "originalSource"], message))
        if len(given.get("alt") or "") > MAX_ALT:
            message = f"Alt is longer than {MAX_ALT} characters."
            problems.append(_problem("INVALID", [*place, "alt"], message))
    if len(product.media_ids) + len(media) > MAX_MEDIA_PER_PRODUCT:
        message = f"Products have at most {MAX_MEDIA_PER_PRODUCT} media."
        problems.append(_problem("PRODUCT_MEDIA_LIMIT_EXCEEDED", [field], message))
    return problems


def _append_media(
    context: RequestContext, product: Product, media: Sequence[dict[str, Any]]
) -> list[MediaFile]:
    """Make new media at the end: whoever sends the same twice has it twice."""
    files = [_new_file(context, given) for given in media]
    product.media_ids += [file.id for file in files]
    product.updated_at = context.store.clock.now()
    return files


def _create_media(
    _: None,
    info: GraphQLResolveInfo,
    media: list[dict[str, Any]],
    productId: str,  # noqa: N803
) -> dict[str, Any]:
    context = context_of(info)
    with context.store.lock:
        product = context.store.products.get(productId)
        if product is None:
            message = "Product does not exist."
            return _media_refusal([_problem("PRODUCT_DOES_NOT_EXIST", ["productId"], message)])
        problems = _media_problems(product, media, "media")
        if problems:
            return {**_media_refusal(problems), "product": product}
        files = _append_media(context, product, media)
        return {"media": files, "product": product, "mediaUserErrors": [], "userErrors": []}


def _media_refusal(problems: list[Problem]) -> dict[str, Any]:
    return {"mediaUserErrors": problems, "userErrors": problems}


def _product_update(
    _: None,
    info: GraphQLResolveInfo,
    identifier: dict[str, Any] | None = None,
    input: dict[str, Any] | None = None,  # noqa: A002
    media: list[dict[str, Any]] | None = None,
    product: dict[str, Any] | None = None,
) -> dict[str, Any]:
    context = context_of(info)
    changes = product or input or {}
    with context.store.lock:
        wanted = identifier or ({"id": changes["id"]} if "id" in changes else None)
        found = find_product(context, wanted) if wanted else None
        if found is None:
            problems = [_problem("", ["id"], "Product does not exist")]
            return {"product": None, "userErrors": problems}
        problems = _media_problems(found, media or (), "media")
        if problems:
            return {"product": found, "userErrors": problems}
        for name in ("title", "handle", "status", "vendor", "tags"):
            if changes.get(name) is not None:
                setattr(found, name, changes[name])
        if changes.get("productType") is not None:
            found.product_type = changes["productType"]
        _append_media(context, found, media or ())
        return {"product": found, "userErrors": []}


def _delete_media(
    _: None,
    info: GraphQLResolveInfo,
    mediaIds: list[str],  # noqa: N803
    productId: str,  # noqa: N803
) -> dict[str, Any]:
    store = context_of(info).store
    with store.lock:
        product = store.products.get(productId)
        if product is None:
            message = "Product does not exist."
            return _media_refusal([_problem("PRODUCT_DOES_NOT_EXIST", ["productId"], message)])
        if not set(mediaIds) <= set(product.media_ids):
            message = "Media does not exist on the product."
            problem = _problem("MEDIA_DOES_NOT_EXIST_ON_PRODUCT", ["mediaIds"], message)
            return {**_media_refusal([problem]), "product": product}
        _detach(product, set(mediaIds))
        return {
            "deletedMediaIds": mediaIds,
            "deletedProductImageIds": [],
            "product": product,
            "mediaUserErrors": [],
            "userErrors": [],
        }


def _reorder(
    _: None,
    info: GraphQLResolveInfo,
    id: str,  # noqa: A002
    moves: list[dict[str, Any]],
) -> dict[str, Any]:
    store = context_of(info).store
    with store.lock:
        product = store.products.get(id)
        if product is None:
            message = "Product does not exist."
            return _media_refusal([_problem("PRODUCT_DOES_NOT_EXIST", ["id"], message)])
        problems = [
            _problem("MEDIA_DOES_NOT_EXIST_ON_PRODUCT", ["moves", index, "id"], "No such media.")
            for index, move in enumerate(moves)
            if move["id"] not in product.media_ids
        ]
        if problems:
            return _media_refusal(problems)
        for move in moves:
            product.media_ids.remove(move["id"])
            product.media_ids.insert(move["newPosition"], move["id"])
        job = Job(store.new_id("Job"), done=False)
        store.jobs[job.id] = job
        return {"job": job, "mediaUserErrors": [], "userErrors": []}


def _variant_append(
    _: None,
    info: GraphQLResolveInfo,
    productId: str,  # noqa: N803
    variantMedia: list[dict[str, Any]],  # noqa: N803
) -> dict[str, Any]:
    context = context_of(info)
    with context.store.lock:
        product = context.store.products.get(productId)
        if product is None:
            message = "Product does not exist."
            problems = [_problem("PRODUCT_DOES_NOT_EXIST", ["productId"], message)]
            return {"userErrors": problems}
        by_id = {variant.id: variant for variant in product.variants}
        problems = _pairs_problems(variantMedia)
        for index, pair in enumerate(variantMedia):
            problems += _pair_problems(context, product, by_id, pair, ["variantMedia", index])
        if problems:
            return {"product": product, "userErrors": problems}
        for pair in variantMedia:
            by_id[pair["variantId"]].media_ids += pair["mediaIds"]
        changed = [by_id[pair["variantId"]] for pair in variantMedia]
        return {"product": product, "productVariants": changed, "userErrors": []}


def _pairs_problems(pairs: Sequence[dict[str, Any]]) -> list[Problem]:
    if len(pairs) > MAX_PAIRS:
        message = f"At most {MAX_PAIRS} pairs at once."
        return [_problem("MAXIMUM_VARIANT_MEDIA_PAIRS_EXCEEDED", ["variantMedia"], message)]
    if len({pair["variantId"] for pair in pairs}) < len(pairs):
        message = "A variant is named more than once."
        return [_problem("PRODUCT_VARIANT_SPECIFIED_MULTIPLE_TIMES", ["variantMedia"], message)]
    return []


def _pair_problems(
    context: RequestContext,
    product: Product,
    variants: dict[str, Variant],
    pair: dict[str, Any],
    field: list[str | int],
) -> list[Problem]:
    variant = variants.get(pair["variantId"])
    if variant is None:
        code = "PRODUCT_VARIANT_DOES_NOT_EXIST_ON_PRODUCT"
        return [_problem(code, [*field, "variantId"], "No such variant on the product.")]
    if variant.media_ids:
        code = "PRODUCT_VARIANT_ALREADY_HAS_MEDIA"
        return [_problem(code, [*field, "variantId"], "The variant has media already.")]
    place = [*field, "mediaIds"]
    if len(pair["mediaIds"]) != 1:
        return [_problem("TOO_MANY_MEDIA_PER_INPUT_PAIR", place, "One media for each pair.")]
    media_id = pair["mediaIds"][0]
    if media_id not in product.media_ids:
        return [_problem("MEDIA_DOES_NOT_EXIST_ON_PRODUCT", place, "No such media.")]
    if context.store.status(context.store.files[media_id]) != "READY":
        context.seen.add(media_id)
        return [_problem("NON_READY_MEDIA", place, "Non-ready media cannot be attached.")]
    return []


# --- metafields ----------------------------------------------------------------------------


def _metafields_set(
    _: None, info: GraphQLResolveInfo, metafields: list[dict[str, Any]]
) -> dict[str, Any]:
    context = context_of(info)
    with context.store.lock:
        problems: list[Problem] = []
        if len(metafields) > MAX_METAFIELDS:
            message = f"At most {MAX_METAFIELDS} metafields at once."
            problems.append(_problem("LESS_THAN_OR_EQUAL_TO", ["metafields"], message))
        for index, given in enumerate(metafields):
            problems += _metafield_problems(context, given, index)
        if problems:
            return {"metafields": [], "userErrors": problems}
        return {"metafields": [_set(context, given) for given in metafields], "userErrors": []}


def _place(given: dict[str, Any]) -> tuple[str, str]:
    return given.get("namespace") or "app", given["key"]


def _metafield_problems(
    context: RequestContext, given: dict[str, Any], index: int
) -> list[Problem]:
    def problem(code: str, name: str, message: str) -> list[Problem]:
        found = _problem(code, ["metafields", index, name], message)
        return [{**found, "elementIndex": index}]

    owner = context.store.products.get(given["ownerId"])
    if owner is None:
        return problem("INVALID", "ownerId", "Owner does not exist.")
    existing = owner.metafields.get(_place(given))
    if existing is None and not given.get("type"):
        return problem("BLANK", "type", "Type can't be blank.")
    if existing is not None and given.get("type") not in (None, existing.type):
        return problem("INVALID_TYPE", "type", "Type can't be changed.")
    if "compareDigest" in given:
        digest = existing.compare_digest if existing else None
        if given["compareDigest"] != digest:
            return problem("STALE_OBJECT", "compareDigest", "The resource has been updated.")
    return []


def _set(context: RequestContext, given: dict[str, Any]) -> Metafield:
    store = context.store
    owner, place = store.products[given["ownerId"]], _place(given)
    existing, now = owner.metafields.get(place), store.clock.now()
    metafield = Metafield(
        id=existing.id if existing else store.new_id("Metafield"),
        namespace=place[0],
        key=place[1],
        type=existing.type if existing else given["type"],
        value=given["value"],
        created_at=existing.created_at if existing else now,
        updated_at=now,
    )
    owner.metafields[place] = metafield
    return metafield


# --- all of them ---------------------------------------------------------------------------


def _or_planned_refusal(resolver: Resolver) -> Resolver:
    """Answer a user error instead, where that fault is planned."""

    def resolve(root: None, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        fault = context_of(info).fault
        if (
            fault is None
            or fault.kind != "user_error"
            or not fault.fits(f"shopify.{info.field_name}")
        ):
            return resolver(root, info, **arguments)
        problem = _problem(fault.code or "INVALID", [], fault.message)
        problem["field"] = None
        payload: dict[str, Any] = {"userErrors": [problem], "mediaUserErrors": [problem]}
        return payload

    return resolve


_ALL: Final[dict[str, Callable[..., Any]]] = {
    "fileCreate": _file_create,
    "fileUpdate": _file_update,
    "fileDelete": _file_delete,
    "stagedUploadsCreate": _staged_uploads,
    "productCreateMedia": _create_media,
    "productUpdate": _product_update,
    "productDeleteMedia": _delete_media,
    "productReorderMedia": _reorder,
    "productVariantAppendMedia": _variant_append,
    "metafieldsSet": _metafields_set,
}

RESOLVERS: Final[dict[str, Resolver]] = {
    name: _or_planned_refusal(resolver) for name, resolver in _ALL.items()
}
"""Resolvers of the mutations by name."""
