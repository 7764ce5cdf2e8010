"""The shop behind the simulator: products, files, staged uploads, tokens."""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from photopipe_dagster.sandbox.clock import Clock
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.download import UnreachableError, download
from photopipe_dagster.sandbox.pictures import NotAPictureError, look
from photopipe_dagster.sandbox.shopify.bucket import LeakyBucket
from photopipe_dagster.sandbox.shopify.records import (
    Category,
    Job,
    MediaFile,
    MediaProblem,
    Product,
    Record,
    Variant,
)
from photopipe_dagster.sandbox.traffic import Traffic

MAX_BYTES: Final = 20 * 1024 * 1024
MAX_PIXELS: Final = 25_000_000
MAX_SIDE: Final = 5000
"""Pixels. Newer pages of the documentation say 5000 and 25 MP, older ones 4472 and 20 MP."""

FORMATS: Final = {
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
}
"""What Shopify takes that Pillow reads without plug-ins."""

_NUMBERS_FROM = 1_000_000


@dataclass(slots=True)
class StagedTarget:
    """A place for bytes that become a file later.

    Args:
        key: Its name in the bucket; part of the resource URL.
        parameters: What the upload has to bring, unchanged: form fields or headers.
        method: ``POST`` or ``PUT``.
        token: Signature in the URL of a PUT.
    """

    key: str
    parameters: dict[str, str]
    method: str
    token: str
    data: bytes | None = field(default=None, repr=False)


class ShopifyStore:
    """State of the simulator of Shopify. Hold `lock` while changing it.

    Attributes:
        products: By gid, in order of their making.
        files: By gid, in order of their making.
        bucket: The leaky bucket.
        last_number: Of the last gid that was given.
    """

    def __init__(self, config: SandboxConfig, clock: Clock, traffic: Traffic) -> None:
        self.config = config
        self.clock = clock
        self.lock = threading.RLock()
        self._traffic = traffic
        self.bucket = LeakyBucket(
            clock, config.shopify_bucket_points, config.shopify_restore_points
        )
        self.reset()

    def reset(self) -> None:
        """Empty the shop, revoke granted tokens, fill the bucket."""
        with self.lock:
            self.last_number = _NUMBERS_FROM
            self.products: dict[str, Product] = {}
            self.files: dict[str, MediaFile] = {}
            self.staged: dict[str, StagedTarget] = {}
            self.jobs: dict[str, Job] = {}
            self._tokens: dict[str, float] = {}
            self.scopes = set(self.config.shopify_scopes)
            self.bucket.configure(
                self.config.shopify_bucket_points, self.config.shopify_restore_points
            )

    def new_id(self, kind: str) -> str:
        """A fresh gid."""
        with self.lock:
            self.last_number += 1
            return f"gid://shopify/{kind}/{self.last_number}"

    # --- tokens --------------------------------------------------------------------------

    def grant(self) -> str:
        """A new token for the app's own credentials."""
        token = f"sandbox_{secrets.token_hex(16)}"
        with self.lock:
            self._tokens[token] = self.clock.timestamp() + self.config.shopify_token_seconds
        return token

    def knows(self, token: str) -> bool:
        """Whether a token opens the shop now."""
        if secrets.compare_digest(token.encode(), self.config.shopify_token.encode()):
            return True
        with self.lock:
            return self.clock.timestamp() < self._tokens.get(token, 0.0)

    def revoke_tokens(self) -> None:
        """Make all granted tokens invalid."""
        with self.lock:
            self._tokens.clear()

    # --- products ------------------------------------------------------------------------

    def add_product(
        self,
        title: str,
        skus: Sequence[str] = (),
        status: str = "ACTIVE",
        *,
        product_type: str = "",
        category: Category | None = None,
    ) -> str:
        """Add a product with a variant for each SKU; SKUs need not be unique.

        Returns:
            The product's gid.
        """
        now = self.clock.now()
        with self.lock:
            gid = self.new_id("Product")
            handle = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
            variants = [
                Variant(self.new_id("ProductVariant"), now, now, gid, sku, sku, position)
                for position, sku in enumerate(skus, start=1)
            ]
            self.products[gid] = Product(
                gid, now, now, title, handle, status, product_type, variants, category=category
            )
        return gid

    def node(self, gid: str) -> Record | None:
        """Whatever has a gid."""
        variants = (one for product in self.products.values() for one in product.variants)
        return (
            self.products.get(gid)
            or self.files.get(gid)
            or next((one for one in variants if one.id == gid), None)
        )

    def indexed(self, record: Product | MediaFile) -> bool:
        """Whether the search index has caught up with a record."""
        age = self.clock.timestamp() - record.created_at.timestamp()
        return age >= self._traffic.latency("shopify.search_index")

    # --- files ---------------------------------------------------------------------------

    def add_file(
        self, source: str, filename: str, alt: str, problem: MediaProblem | None = None
    ) -> MediaFile:
        """Make a file that has yet to fetch its bytes."""
        now = self.clock.now()
        with self.lock:
            file = MediaFile(self.new_id("MediaImage"), now, now, filename, alt, source)
            file.problem = problem
            self.files[file.id] = file
        return file

    def file_named(self, filename: str) -> MediaFile | None:
        """The file that has a name; failed ones keep theirs until they are deleted."""
        return next((one for one in self.files.values() if one.filename == filename), None)

    def free_name(self, filename: str) -> str:
        """The name itself, or with a UUID if it is taken."""
        if self.file_named(filename) is None:
            return filename
        stem, dot, extension = filename.rpartition(".")
        return f"{stem}_{uuid.uuid4()}{dot}{extension}"

    def status(self, file: MediaFile) -> str:
        """Where a file stands: by its age if a latency is set, else by how often it was seen."""
        latency = self._traffic.latency("shopify.media")
        if latency:
            age = self.clock.timestamp() - file.created_at.timestamp()
            progress = age / latency
        else:
            polls = self.config.shopify_media_polls
            progress = file.polls / polls if polls else 1.0
        if file.loaded and (file.settled or progress >= 1):
            file.settled = True
            return "FAILED" if file.problem else "READY"
        return "PROCESSING" if progress >= 0.25 else "UPLOADED"

    def count_polls(self, seen: set[str]) -> None:
        """Note which files a request has looked at."""
        with self.lock:
            for gid in seen & self.files.keys():
                self.files[gid].polls += 1

    async def load_pending(self) -> None:
        """Fetch the bytes of files that have none yet, and look at them."""
        with self.lock:
            pending = [file for file in self.files.values() if not file.loaded and not file.loading]
            for file in pending:
                file.loading = True
        await asyncio.gather(*(self._load(file) for file in pending))

    async def _load(self, file: MediaFile) -> None:
        try:
            data = await self._bytes(file.source)
            content_type, width, height, problem = await asyncio.to_thread(_inspect, data)
        except UnreachableError as error:
            problem = MediaProblem(
                "IMAGE_DOWNLOAD_FAILURE", "The image could not be downloaded.", str(error)
            )
        else:
            file.data, file.content_type = data, content_type
            file.width, file.height = width, height
        file.problem = file.problem or problem
        file.loaded = True
        file.loading = False

    async def _bytes(self, source: str) -> bytes:
        with self.lock:
            key = staged_key(source)
            target = self.staged.get(key) if key else None
        if target is not None:
            if target.data is None:
                raise UnreachableError("nothing was uploaded to the staged target")
            return target.data
        # Room for one byte too many, so that the size is found wrong and not the download.
        return await download(source, max_bytes=MAX_BYTES + 1024, transport=self.config.transport)

    # --- staged uploads ------------------------------------------------------------------

    def stage(self, filename: str, mime_type: str, method: str) -> StagedTarget:
        """Make a place for bytes."""
        key = f"tmp/0001/files/{uuid.uuid4()}/{filename}"
        token = secrets.token_hex(16)
        if method == "POST":
            parameters = {
                "Content-Type": mime_type,
                "success_action_status": "201",
                "acl": "private",
                "key": key,
                "x-goog-algorithm": "GOOG4-RSA-SHA256",
                "x-goog-signature": token,
                "policy": secrets.token_urlsafe(24),
            }
        else:
            parameters = {"content_type": mime_type, "acl": "private"}
        target = StagedTarget(key, parameters, method, token)
        with self.lock:
            self.staged[key] = target
        return target


def staged_key(url: str) -> str | None:
    """The key in a staged resource URL; ``None`` for any other URL."""
    _, found, key = urlsplit(url).path.partition("/shopify/_staged/")
    return unquote(key) if found and key else None


def _inspect(data: bytes) -> tuple[str | None, int | None, int | None, MediaProblem | None]:
    if len(data) > MAX_BYTES:
        too_big = MediaProblem("INVALID_IMAGE_FILE_SIZE", "The image is larger than 20 MB.")
        return None, None, None, too_big
    try:
        facts = look(data, whole=True)
    except NotAPictureError:
        broken = MediaProblem("IMAGE_PROCESSING_FAILURE", "The image could not be processed.")
        return None, None, None, broken
    problem: MediaProblem | None = None
    if facts.content_type not in FORMATS:
        problem = MediaProblem("UNSUPPORTED_IMAGE_FILE_TYPE", "The file type is not supported.")
    elif max(facts.width, facts.height) > MAX_SIDE or facts.width * facts.height > MAX_PIXELS:
        problem = MediaProblem(
            "INVALID_IMAGE_RESOLUTION", "The image has more than 25 megapixels or a side too long."
        )
    return facts.content_type, facts.width, facts.height, problem
