"""Publishing a picture on a product, once, whatever is repeated.

The order makes it so: look for the file that an earlier attempt made (by its kept id, then by its
name, which says what it shows), make one only if there is none, keep its id before waiting for it,
and attach it only if the product does not have it. A picture that was made again takes the place of
the one before; that one's file stays, so that it can come back.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from photopipe_dagster.core.errors import TargetError
from photopipe_dagster.shopify import files, product_media
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.deadline import Deadline
from photopipe_dagster.shopify.models import FileStatus, MediaFile
from photopipe_dagster.targets.base import (
    MediaRecord,
    PictureLimits,
    Publication,
    PublishedMedia,
)

_PASSING: Final = frozenset(
    {
        "MEDIA_TIMEOUT_ERROR",
        "UNKNOWN",
        "IMAGE_DOWNLOAD_FAILURE",
        # The upload expired, or a file of the name was found late: the next attempt uploads
        # again, or adopts that file.
        "INVALID_SIGNED_URL",
        "DUPLICATE_FILENAME_ERROR",
    }
)
"""Reasons to FAIL after which the same picture can succeed."""

_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


async def publish(
    client: ShopifyClient,
    publication: Publication,
    record: MediaRecord,
    limits: PictureLimits,
    deadline: Deadline,
) -> PublishedMedia:
    """Put a picture on a product, as `targets.base.Target.publish` says.

    Args:
        deadline: How long Shopify may take in all to process it.

    Raises:
        TargetError: The picture or its description is not as Shopify wants it, Shopify could not
            process it, or it is not READY in time (retryable: the next attempt goes on with it).
        NetworkError, RateLimitError: Shopify did not answer now; the next attempt looks first.
    """
    _check(publication, limits)
    product_id = publication.product_id
    made = await _existing(client, publication.filename, record, deadline)
    if made is None:
        made = await _make(client, publication, record, deadline)
    file, url = await _settled(client, made, publication.filename, deadline)
    earlier = record.earlier(product_id)
    if earlier or record.replaces:
        await product_media.take_place(
            client,
            product_id,
            file.id,
            earlier,
            replacing=record.replacing,
            deadline=deadline,
        )
    # Nobody can have attached a file that this very call made: no need to look.
    elif not (made.reused and await product_media.has(client, product_id, file.id)):
        await product_media.attach(client, product_id, file.id, deadline)
    return PublishedMedia(media_id=file.id, product_id=product_id, url=url, reused=made.reused)


# --- the steps of publishing ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Made:
    """A file that is there: its id, what was last seen of it, and who made it."""

    media_id: str
    seen: MediaFile | None
    reused: bool


async def _existing(
    client: ShopifyClient, filename: str, record: MediaRecord, deadline: Deadline
) -> _Made | None:
    """The file that an earlier attempt made, by its kept id or by its name."""
    gone = None
    if record.media_id:
        kept = await files.file_by_id(client, record.media_id)
        if kept and kept.failed:
            await files.discard(client, kept.id)
            gone = kept.id
        elif kept and not _of_other_composite(kept, filename):
            return _Made(kept.id, kept, reused=True)
    file = await _by_name(client, filename, deadline)
    if file is None or file.id == gone:
        return None
    if file.failed:
        await files.discard(client, file.id)
        return None
    await record.created(file.id)
    return _Made(file.id, file, reused=True)


async def _by_name(client: ShopifyClient, filename: str, deadline: Deadline) -> MediaFile | None:
    """The file of exactly that name; waits for what Shopify finds but cannot name yet."""
    while True:
        found = await files.files_like(client, filename)
        named = [file for file in found if file.filename == filename]
        if named:
            return min(named, key=lambda file: (not file.usable, file.failed))
        if not any(
            file.filename is None and file.status is not FileStatus.FAILED for file in found
        ):
            return None
        await deadline.wait(f"Shopify has still not said whether it has the file {filename}")


async def _make(
    client: ShopifyClient, publication: Publication, record: MediaRecord, deadline: Deadline
) -> _Made:
    """Upload the picture and make a file of it, or adopt the one that was made meanwhile."""
    filename = publication.filename
    target = await files.stage(
        client, filename=filename, data=publication.data, content_type=publication.content_type
    )
    media_id = await files.create_file(client, target, filename=filename, alt=publication.alt)
    if media_id is not None:
        await record.created(media_id)
        return _Made(media_id, None, reused=False)
    # There is one that the search did not show: its index lags behind.
    while (file := await _by_name(client, filename, deadline)) is None:
        await deadline.wait(
            f"Shopify has a file {filename} (if it failed, delete it under Content > Files), but "
            "still does not find it"
        )
    if file.failed:
        raise await _failure(client, file, filename)
    await record.created(file.id)
    return _Made(file.id, file, reused=True)


async def _settled(
    client: ShopifyClient, made: _Made, filename: str, deadline: Deadline
) -> tuple[MediaFile, str]:
    """The file when it has been processed, and its public URL."""
    file = made.seen or await files.file_by_id(client, made.media_id)
    while file is None or file.url is None or not file.usable:
        if file is not None and file.failed:
            raise await _failure(client, file, filename)
        # A file that has just been made may not be visible yet.
        status = file.status.value if file else "not visible yet"
        await deadline.wait(f"Shopify is still processing the file {filename} ({status})")
        file = await files.file_by_id(client, made.media_id)
    return file, file.url


async def _failure(client: ShopifyClient, file: MediaFile, filename: str) -> TargetError:
    """Free the name of a failed file, and the error to raise."""
    await files.discard(client, file.id)
    codes = [problem.code for problem in file.problems]
    reasons = "; ".join(map(str, file.problems)) or "no reason given"
    return TargetError(
        f"Shopify could not process the file {filename}: {reasons}. The next attempt uploads it "
        "again; where none is due by itself, `photopipe retry JOB` makes one.",
        details={"media_id": file.id, "codes": codes},
        retryable=set(codes) <= _PASSING,
        refuses_all="FILE_STORAGE_LIMIT_EXCEEDED" in codes,
    )


def _of_other_composite(file: MediaFile, filename: str) -> bool:
    """Whether a file is of the same photo, but of a composite that has been replaced.

    A file with quite another name has been renamed by the merchant: it is still ours.
    """
    name = file.filename
    return (
        name is not None
        and name != filename
        and name.rsplit("-", 1)[0] == filename.rsplit("-", 1)[0]
    )


def _check(publication: Publication, limits: PictureLimits) -> None:
    """Refuse before uploading what Shopify would refuse after.

    Raises:
        TargetError: Permanent; says which limit is exceeded.
    """
    filename, data, alt = publication.filename, publication.data, publication.alt
    if len(alt) > limits.alt_characters:
        raise TargetError(
            f"The alt text of {filename} has {len(alt)} characters; Shopify takes at most "
            f"{limits.alt_characters}."
        )
    if len(data) > limits.bytes:
        raise TargetError(
            f"The picture {filename} has {len(data):,} bytes; Shopify takes at most "
            f"{limits.bytes:,}. Make the composite smaller or its JPEG quality lower."
        )
    try:
        with Image.open(io.BytesIO(data)) as picture:
            (width, height), kind = picture.size, picture.format
    except (OSError, Image.DecompressionBombError):
        raise TargetError(f"The picture {filename} cannot be read: make it again.") from None
    if kind != _FORMATS.get(publication.content_type):
        raise TargetError(f"The picture {filename} is {kind}, not {publication.content_type}.")
    size = limits.size
    if max(width, height) > size.side or width * height > size.pixels:
        raise TargetError(
            f"The picture {filename} is {width} × {height} pixels; Shopify takes at most "
            f"{size.side} a side and {size.pixels:,} in all. Make the composite smaller."
        )
