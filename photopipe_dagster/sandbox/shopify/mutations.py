"""Resolvers of everything that is changed.

A mutation changes all that it was asked for, or refuses as a whole. It runs under the shop's lock.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from importlib.resources import files as resources
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from photopipe_dagster.sandbox.shopify.context import RequestContext
from photopipe_dagster.sandbox.shopify.queries import Resolver
from photopipe_dagster.sandbox.shopify.records import Job, MediaFile, MediaProblem, Product
from photopipe_dagster.sandbox.shopify.store import FORMATS, StagedTarget

_LIMITS: Final = {"max_media": 250, "max_inputs": 250, "max_alt": 512}
_MAX_FILENAME: Final = 255
_EXTENSIONS: Final = frozenset(extension for group in FORMATS.values() for extension in group)
_TEXTS: Final = tomllib.loads(resources(__package__).joinpath("refusals.toml").read_text("utf-8"))

Problem = dict[str, Any]
"""A user error: ``field``, ``message`` and, where its type has one, ``code``."""

Field = Sequence[str | int]
"""The path of an argument."""

RESOLVERS: Final[dict[str, Resolver]] = {}
"""Resolvers of the mutations by name."""


class RefusedError(Exception):
    """A mutation changes nothing: its user errors, and what its payload has beside them."""

    def __init__(self, problems: list[Problem], **payload: Any) -> None:
        super().__init__(problems)
        self.problems = problems
        self.payload = payload


def _refuse(problems: list[Problem], **payload: Any) -> None:
    if problems:
        raise RefusedError(problems, **payload)


def _mutation(name: str) -> Callable[[Callable[..., dict[str, Any]]], None]:
    """Serve a function as a mutation; where that is planned, it answers a user error instead."""

    def serve(change: Callable[..., dict[str, Any]]) -> None:
        def resolve(_: None, context: RequestContext, **arguments: Any) -> dict[str, Any]:
            fault = context.fault
            problems: list[Problem] = []
            payload: dict[str, Any] = {}
            if fault and fault.kind == "user_error" and fault.fits(f"shopify.{name}"):
                code = fault.code or "INVALID"
                problems = [{"code": code, "field": None, "message": fault.message}]
            else:
                try:
                    payload = change(context, **arguments)
                except RefusedError as refusal:
                    problems, payload = refusal.problems, refusal.payload
            return {**payload, "userErrors": problems, "mediaUserErrors": problems}

        RESOLVERS[name] = resolve

    return serve


def _problem(code: str, field: Field, message: str = "", **values: object) -> Problem:
    text = message or _TEXTS[code].format(**_LIMITS, **values)
    return {"code": code, "field": [str(part) for part in field], "message": text}


def _planned_failure(context: RequestContext) -> MediaProblem | None:
    fault = context.fault
    if fault is None or fault.kind != "media_failed":
        return None
    return MediaProblem(fault.code or "IMAGE_PROCESSING_FAILURE", fault.message)


# --- files ---------------------------------------------------------------------------------


@_mutation("fileCreate")
def _file_create(context: RequestContext, files: list[dict[str, Any]]) -> dict[str, Any]:
    _refuse_any(context, files, _file_problems)
    return {"files": [_new_file(context, given) for given in files]}


@_mutation("fileUpdate")
def _file_update(context: RequestContext, files: list[dict[str, Any]]) -> dict[str, Any]:
    _refuse_any(context, files, _update_problems)
    return {"files": [_updated_file(context, given) for given in files]}


def _refuse_any(
    context: RequestContext,
    files: list[dict[str, Any]],
    look: Callable[[RequestContext, dict[str, Any], Field], list[Problem]],
) -> None:
    problems: list[Problem] = []
    if len(files) > _LIMITS["max_inputs"]:
        problems.append(_problem("TOO_MANY_ARGUMENTS", ["files"]))
    for index, given in enumerate(files):
        problems += look(context, given, ["files", index])
    _refuse(problems, files=[])


def _file_problems(context: RequestContext, given: dict[str, Any], field: Field) -> list[Problem]:
    problems: list[Problem] = []
    source = given["originalSource"]
    if len(given.get("alt") or "") > _LIMITS["max_alt"]:
        problems.append(_problem("ALT_VALUE_LIMIT_EXCEEDED", [*field, "alt"]))
    if not _is_url(source):
        problems.append(_problem("INVALID_IMAGE_SOURCE_URL", [*field, "originalSource"]))
    if given.get("contentType", "IMAGE") != "IMAGE":
        problems.append(_problem("UNACCEPTABLE_ASSET", [*field, "contentType"]))
    filename, mode = given.get("filename"), given.get("duplicateResolutionMode", "APPEND_UUID")
    place = [*field, "filename"]
    if filename is not None:
        problems += _filename_problems(filename, _basename(source), place)
    if mode == "REPLACE":
        problems.append(_problem("INVALID_DUPLICATE_RESOLUTION_MODE", place))
    name = stored_name(filename or _basename(source))
    if mode == "RAISE_ERROR" and context.store.file_named(name):
        problems.append(_problem("FILENAME_ALREADY_EXISTS", place))
    return problems


def _filename_problems(filename: str, source: str, place: Field) -> list[Problem]:
    too_long = len(filename) > _MAX_FILENAME
    if not filename.strip() or too_long or re.search(r"[/\\\x00-\x1f]", filename):
        return [_problem("INVALID_FILENAME", place)]
    extension = PurePosixPath(filename).suffix.lower()
    if extension not in _EXTENSIONS:
        return [_problem("INVALID_FILENAME_EXTENSION", place)]
    of_source = PurePosixPath(source).suffix.lower()
    if of_source and _same(extension) != _same(of_source):
        return [_problem("MISMATCHED_FILENAME_AND_ORIGINAL_SOURCE", place)]
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
    return store.add_file(source, store.free_name(name), alt, _planned_failure(context))


def _update_problems(context: RequestContext, given: dict[str, Any], field: Field) -> list[Problem]:
    store = context.store
    file = store.files.get(given["id"])
    if file is None:
        return [_problem("FILE_DOES_NOT_EXIST", [*field, "id"], id=given["id"])]
    if store.status(file) != "READY":
        # Anyone who tries again and again looks at the file, too.
        context.seen.add(file.id)
        return [_problem("NON_READY_STATE", [*field, "id"])]
    problems: list[Problem] = []
    for name in ("referencesToAdd", "referencesToRemove"):
        for gid in given.get(name) or ():
            product = store.products.get(gid)
            if product is None:
                problems.append(_problem("REFERENCE_TARGET_DOES_NOT_EXIST", [*field, name]))
            elif name == "referencesToAdd" and not _has_room(product, file.id):
                problems.append(_problem("PRODUCT_MEDIA_LIMIT_EXCEEDED", [*field, name]))
    return problems


def _has_room(product: Product, media_id: str) -> bool:
    return media_id in product.media_ids or len(product.media_ids) < _LIMITS["max_media"]


def _updated_file(context: RequestContext, given: dict[str, Any]) -> MediaFile:
    store = context.store
    file = store.files[given["id"]]
    for gid in given.get("referencesToAdd") or ():
        media = store.products[gid].media_ids
        if file.id not in media:
            media.append(file.id)
    for gid in given.get("referencesToRemove") or ():
        _detach(store.products[gid], {file.id})
    file.updated_at = store.clock.now()
    return file


def _detach(product: Product, gone: set[str]) -> None:
    product.media_ids = [gid for gid in product.media_ids if gid not in gone]


@_mutation("fileDelete")
def _file_delete(context: RequestContext, fileIds: list[str]) -> dict[str, Any]:  # noqa: N803
    store = context.store
    missing = [gid for gid in fileIds if gid not in store.files]
    _refuse([_problem("FILE_DOES_NOT_EXIST", ["fileIds"], id=gid) for gid in missing[:1]])
    for gid in fileIds:
        store.files.pop(gid, None)
    for product in store.products.values():
        _detach(product, set(fileIds))
    return {"deletedFileIds": fileIds}


# --- staged uploads ------------------------------------------------------------------------


@_mutation("stagedUploadsCreate")
def _staged_uploads(
    context: RequestContext,
    input: list[dict[str, Any]],  # noqa: A002
) -> dict[str, Any]:
    problems: list[Problem] = []
    for index, given in enumerate(input):
        if not given["filename"].strip():
            problems.append(_problem("", ["input", index, "filename"], "Filename is blank."))
        if given["resource"] in {"IMAGE", "PRODUCT_IMAGE"} and given["mimeType"] not in FORMATS:
            message = f"{given['mimeType']} is not a recognised format of an image."
            problems.append(_problem("", ["input", index, "mimeType"], message))
    _refuse(problems, stagedTargets=[])
    targets = [
        context.store.stage(given["filename"], given["mimeType"], given["httpMethod"])
        for given in input
    ]
    return {"stagedTargets": [_target(context, one) for one in targets]}


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


@_mutation("productReorderMedia")
def _reorder(
    context: RequestContext,
    id: str,  # noqa: A002
    moves: list[dict[str, Any]],
) -> dict[str, Any]:
    product = context.store.products.get(id)
    if product is None:
        raise RefusedError([_problem("PRODUCT_DOES_NOT_EXIST", ["id"])])
    _refuse(
        [
            _problem("MEDIA_DOES_NOT_EXIST_ON_PRODUCT", ["moves", index, "id"])
            for index, move in enumerate(moves)
            if move["id"] not in product.media_ids
        ]
    )
    for move in moves:
        product.media_ids.remove(move["id"])
        product.media_ids.insert(move["newPosition"], move["id"])
    job = Job(context.store.new_id("Job"), done=False)
    context.store.jobs[job.id] = job
    return {"job": job}
