"""Shopify's file library: finding, uploading, making and deleting images.

A file is known by its name: Shopify refuses a second file of the same name (``RAISE_ERROR``), so
that whatever is repeated, there is one.
"""

from __future__ import annotations

import logging
from typing import Any, Final, TypeGuard

from photopipe_dagster.core.errors import JobError, TargetError
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.errors import user_errors
from photopipe_dagster.shopify.models import (
    MediaFile,
    Model,
    Node,
    Page,
    StagedTarget,
    UserError,
    read,
)

logger = logging.getLogger(__name__)

MAX_PAGES: Final = 10
"""Pages of 10 files that are read of a search by name; large pages cost many points."""

NAME_TAKEN: Final = "FILENAME_ALREADY_EXISTS"


class _Staged(Model):
    staged_targets: tuple[StagedTarget, ...] | None = None
    user_errors: tuple[UserError, ...] = ()


class _Created(Model):
    files: tuple[Node, ...] | None = None
    user_errors: tuple[UserError, ...] = ()


class _Changed(Model):
    user_errors: tuple[UserError, ...] = ()


async def file_by_id(client: ShopifyClient, media_id: str) -> MediaFile | None:
    """The image of that id, or ``None`` if there is none (any more)."""
    data = await client.execute("file_by_id", {"id": media_id}, safe=True)
    node = data.get("node")
    if not _is_image(node):
        return None
    return read(MediaFile, node, "a file")


async def files_like(client: ShopifyClient, filename: str) -> tuple[MediaFile, ...]:
    """What Shopify finds for a name: also near matches, and images whose name it does not tell.

    The search's index lags behind: a file that was made a moment ago may be missing.
    """
    found: list[MediaFile] = []
    after: str | None = None
    for _ in range(MAX_PAGES):
        variables = {"query": f"filename:{filename}", "after": after}
        data = await client.execute("files_by_name", variables, safe=True)
        page = read(Page[dict[str, Any]], data.get("files"), "files by name")
        found += [read(MediaFile, node, "a file") for node in page.nodes if _is_image(node)]
        if not page.page_info.has_next_page:
            break
        after = page.page_info.end_cursor
    return tuple(found)


async def stage(
    client: ShopifyClient, *, filename: str, data: bytes, content_type: str
) -> StagedTarget:
    """Upload bytes to a place from which `create_file` takes them.

    Raises:
        TargetError, NetworkError, RateLimitError: Nothing was made in the file library.
    """
    upload = {
        "filename": filename,
        "mimeType": content_type,
        "resource": "IMAGE",
        "httpMethod": "POST",
        "fileSize": str(len(data)),
    }
    # A target that nobody uses vanishes by itself, so that repeating is harmless.
    answer = await client.execute("create_staged_upload", {"input": [upload]}, safe=True)
    staged = read(_Staged, answer["stagedUploadsCreate"], "a staged upload")
    if staged.user_errors:
        raise user_errors(f"take the upload {filename}", staged.user_errors)
    if not staged.staged_targets:
        raise TargetError(f"Shopify gave no upload target for {filename}.", retryable=True)
    target = staged.staged_targets[0]
    await client.upload(target, filename=filename, data=data, content_type=content_type)
    return target


async def create_file(
    client: ShopifyClient, target: StagedTarget, *, filename: str, alt: str
) -> str | None:
    """Make an image of an upload, under a name that no other file has.

    Returns:
        Its id, or ``None`` if there is a file of that name.

    Raises:
        TargetError: Shopify refused it.
        NetworkError: Nobody answered; it may have been made, so look before trying again.
    """
    file = {
        "originalSource": target.resource_url.get_secret_value(),
        "filename": filename,
        "alt": alt,
        "contentType": "IMAGE",
        "duplicateResolutionMode": "RAISE_ERROR",
    }
    answer = await client.execute("create_file", {"files": [file]}, safe=False)
    created = read(_Created, answer["fileCreate"], "the new file")
    if any(error.code == NAME_TAKEN for error in created.user_errors):
        return None
    if created.user_errors:
        raise user_errors(f"make the file {filename}", created.user_errors)
    if not created.files:
        raise TargetError(
            f"Shopify did not say whether it made the file {filename}; the next attempt looks.",
            retryable=True,
        )
    return created.files[0].id


async def change_references(
    client: ShopifyClient, media_id: str, *, add: str | None = None, remove: str | None = None
) -> tuple[UserError, ...]:
    """Add an image to a product, or take it away.

    Args:
        add: Id of the product that gets the image at the end of its media.
        remove: Id of the product that loses it; its variants lose it too.

    Returns:
        What Shopify finds wrong; empty if it is done.
    """
    change: dict[str, Any] = {"id": media_id}
    if add:
        change["referencesToAdd"] = [add]
    if remove:
        change["referencesToRemove"] = [remove]
    answer = await client.execute("update_file", {"files": [change]}, safe=False)
    return read(_Changed, answer["fileUpdate"], "the changed file").user_errors


async def discard(client: ShopifyClient, media_id: str) -> None:
    """Delete a file that failed, so that its name is free; a failure to do so is only logged.

    The caller is about to raise or to repair something more important.
    """
    try:
        answer = await client.execute("delete_file", {"fileIds": [media_id]}, safe=True)
        errors = read(_Changed, answer["fileDelete"], "the deleted file").user_errors
    except JobError as error:
        logger.warning("The failed file %s stays in Shopify: %s", media_id, error)
        return
    if errors:
        logger.warning(
            "The failed file %s stays in Shopify: %s", media_id, "; ".join(map(str, errors))
        )


def _is_image(node: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(node, dict) and node.get("__typename") == "MediaImage"
