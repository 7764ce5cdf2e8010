"""Publishing a picture on a product, once, whatever is repeated.

The order makes it so: look for the file that an earlier attempt made (by its kept id, then by its
name, which says what it shows), make one only if there is none, keep its id before waiting for it,
and attach it only if the product does not have it. A picture that was made anew takes the place of
the one before; that one's file stays, so that it can come back.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from typing import Final, Protocol

from PIL import Image

from photopipe_dagster.core.errors import ShopifyError
from photopipe_dagster.shopify import files, product_media
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.deadline import Patience
from photopipe_dagster.shopify.models import (
    FileStatus,
    FoundProduct,
    MediaFile,
    PublishedMedia,
)

MAX_ALT_CHARACTERS: Final = 512
MAX_BYTES: Final = 20_000_000
MAX_PIXELS: Final = 20_000_000
MAX_SIDE: Final = 4472
"""Pixels. Shopify's pages name 20 MP with 4472 a side, newer ones 25 MP with 5000: the lower."""

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

_FILENAME = re.compile(
    r"[a-z0-9-]+-[0-9a-f]{10}-[0-9a-f]{6,12}-[a-z0-9_-]+-[0-9]+-[0-9a-f]{12}\.jpg"
)
_DIGEST = re.compile(r"[0-9a-f]{12,}")
_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


class MediaBook(Protocol):
    """Remembers, for one file name, which file was made and what it replaces: the ledger."""

    @property
    def media_id(self) -> str | None:
        """The file that an earlier attempt made or found; ``None`` if there was none."""
        ...

    @property
    def replaces(self) -> str | None:
        """The media in whose place it was put; ``None`` if it took nobody's."""
        ...

    def earlier(self, product_id: str) -> tuple[str, ...]:
        """Other files of the same photo and theme that may stand on a product, the last first."""
        ...

    async def created(self, media_id: str) -> None:
        """Keep the id for good, in place of an earlier one."""
        ...

    async def replacing(self, media_id: str | None) -> None:
        """Keep whose place it takes, before that one is taken off the product."""
        ...


def media_filename(sku: str, sha256: str, theme: str, variant: int, digest: str) -> str:
    """The name of a picture's file in Shopify: the same picture, the same name, everywhere.

    Args:
        sku: Verbatim; readable in the name as far as it is plain, and exact in a hash of it.
        sha256: The original's SHA-256.
        theme: The theme's name.
        variant: Which of several backgrounds, from 1.
        digest: Lower-case hex digest of the composite's bytes or recipe, at least 12 digits:
            another composite is another file.

    Returns:
        Lower-case ASCII letters, digits, ``-``, ``_`` and one ``.jpg``; at most 180 characters.

    Raises:
        ValueError: ``digest`` is no such digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError("digest must have at least 12 lower-case hexadecimal digits")
    slug = re.sub(r"[^a-z0-9]+", "-", sku.lower()).strip("-")[:48].strip("-") or "sku"
    exact = hashlib.sha256(sku.encode()).hexdigest()[:10]
    return f"{slug}-{exact}-{sha256[:12]}-{theme}-{variant}-{digest[:12]}.jpg"


def is_media_filename(filename: str) -> bool:
    """Whether a name looks like one of `media_filename`."""
    return _FILENAME.fullmatch(filename) is not None


async def publish(
    client: ShopifyClient,
    *,
    product: FoundProduct,
    filename: str,
    data: bytes,
    content_type: str = "image/jpeg",
    alt: str,
    book: MediaBook,
    ready_timeout: float,
    poll_seconds: float,
) -> PublishedMedia:
    """Put a picture on a product; nothing happens if it is there.

    It takes the place of an earlier one of the same photo and theme that stands there, and else is
    put at the end.

    Args:
        filename: From `media_filename`.
        data: The picture's bytes.
        alt: What the picture shows, at most 512 characters.
        book: Remembers the file from one attempt to the next.
        ready_timeout: Seconds that Shopify may take in all to process it.
        poll_seconds: Seconds between two looks.

    Raises:
        ShopifyError: The picture or its description is not as Shopify wants it, Shopify could not
            process it, or it is not READY in time (retryable: the next attempt goes on with it).
        NetworkError, RateLimitError: Shopify did not answer now; the next attempt looks first.
    """
    _check(filename, data, content_type, alt)
    patience = Patience.of(client, ready_timeout, poll_seconds)
    made = await _existing(client, filename, book, patience)
    if made is None:
        made = await _make(client, filename, data, content_type, alt, book, patience)
    file, url = await _settled(client, made, filename, patience)
    earlier = book.earlier(product.id)
    if earlier or book.replaces:
        await product_media.take_place(
            client,
            product.id,
            file.id,
            earlier,
            replacing=book.replacing,
            patience=patience,
        )
    # Nobody can have attached a file that this very call made: no need to look.
    elif not (made.reused and await product_media.has(client, product.id, file.id)):
        await product_media.attach(client, product.id, file.id, patience)
    return PublishedMedia(media_id=file.id, product_id=product.id, url=url, reused=made.reused)


# --- the steps of publishing ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Made:
    """A file that is there: its id, what was last seen of it, and who made it."""

    media_id: str
    seen: MediaFile | None
    reused: bool


async def _existing(
    client: ShopifyClient, filename: str, book: MediaBook, patience: Patience
) -> _Made | None:
    """The file that an earlier attempt made, by its kept id or by its name."""
    gone = None
    if book.media_id:
        kept = await files.file_by_id(client, book.media_id)
        if kept and kept.failed:
            await files.discard(client, kept.id)
            gone = kept.id
        elif kept and not _of_other_composite(kept, filename):
            return _Made(kept.id, kept, reused=True)
    file = await _by_name(client, filename, patience)
    if file is None or file.id == gone:
        return None
    if file.failed:
        await files.discard(client, file.id)
        return None
    await book.created(file.id)
    return _Made(file.id, file, reused=True)


async def _by_name(client: ShopifyClient, filename: str, patience: Patience) -> MediaFile | None:
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
        await patience.wait(f"Shopify has still not said whether it has the file {filename}")


async def _make(
    client: ShopifyClient,
    filename: str,
    data: bytes,
    content_type: str,
    alt: str,
    book: MediaBook,
    patience: Patience,
) -> _Made:
    """Upload the picture and make a file of it, or adopt the one that was made meanwhile."""
    target = await files.stage(client, filename=filename, data=data, content_type=content_type)
    media_id = await files.create_file(client, target, filename=filename, alt=alt)
    if media_id is not None:
        await book.created(media_id)
        return _Made(media_id, None, reused=False)
    # There is one that the search did not show: its index lags behind.
    while (file := await _by_name(client, filename, patience)) is None:
        await patience.wait(
            f"Shopify has a file {filename} (if it failed, delete it under Content > Files), but "
            "still does not find it"
        )
    if file.failed:
        raise await _failure(client, file, filename)
    await book.created(file.id)
    return _Made(file.id, file, reused=True)


async def _settled(
    client: ShopifyClient, made: _Made, filename: str, patience: Patience
) -> tuple[MediaFile, str]:
    """The file when it has been processed, and its public URL."""
    file = made.seen or await files.file_by_id(client, made.media_id)
    while file is None or file.url is None or not file.usable:
        if file is not None and file.failed:
            raise await _failure(client, file, filename)
        # A file that has just been made may not be visible yet.
        status = file.status.value if file else "not visible yet"
        await patience.wait(f"Shopify is still processing the file {filename} ({status})")
        file = await files.file_by_id(client, made.media_id)
    return file, file.url


async def _failure(client: ShopifyClient, file: MediaFile, filename: str) -> ShopifyError:
    """Free the name of a failed file, and the error to raise."""
    await files.discard(client, file.id)
    codes = [problem.code for problem in file.problems]
    reasons = "; ".join(map(str, file.problems)) or "no reason given"
    return ShopifyError(
        f"Shopify could not process the file {filename}: {reasons}. The next attempt uploads it "
        "anew; where none is due by itself, `photopipe retry JOB` makes one.",
        details={"media_id": file.id, "codes": codes},
        retryable=set(codes) <= _PASSING,
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


def _check(filename: str, data: bytes, content_type: str, alt: str) -> None:
    """Refuse before uploading what Shopify would refuse after.

    Raises:
        ShopifyError: Permanent; says which limit is exceeded.
    """
    if len(alt) > MAX_ALT_CHARACTERS:
        raise ShopifyError(
            f"The alt text of {filename} has {len(alt)} characters; Shopify takes at most "
            f"{MAX_ALT_CHARACTERS}."
        )
    if len(data) > MAX_BYTES:
        raise ShopifyError(
            f"The picture {filename} has {len(data):,} bytes; Shopify takes at most {MAX_BYTES:,}. "
            "Make the composite smaller or its JPEG quality lower."
        )
    try:
        with Image.open(io.BytesIO(data)) as picture:
            (width, height), kind = picture.size, picture.format
    except (OSError, Image.DecompressionBombError):
        raise ShopifyError(f"The picture {filename} cannot be read: make it again.") from None
    if kind != _FORMATS.get(content_type):
        raise ShopifyError(f"The picture {filename} is {kind}, not {content_type}.")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ShopifyError(
            f"The picture {filename} is {width} × {height} pixels; Shopify takes at most "
            f"{MAX_SIDE} a side and {MAX_PIXELS:,} in all. Make the composite smaller."
        )
