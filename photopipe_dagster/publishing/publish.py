"""Publishing the picture of a job on the product that has its photo's SKU, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from photopipe_dagster.core.errors import ErrorCode, JobError, TargetError
from photopipe_dagster.imaging.composite import Pose
from photopipe_dagster.ledger.catalogue import Catalogue, KnownProduct
from photopipe_dagster.ledger.jobs.leases import picture_lease
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.publishing.filenames import media_filename
from photopipe_dagster.publishing.flat_lay import flat_lay_of
from photopipe_dagster.publishing.product_lookup import ProductLookup
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.targets.base import Publication, PublishedMedia, Target
from photopipe_dagster.themes.model import Theme

Turn = Callable[[str], AbstractAsyncContextManager[None]]
"""Holds a lease by its name."""

Load = Callable[[], Awaitable[bytes]]
"""Reads the picture's bytes, when they are needed."""


@dataclass(frozen=True, slots=True)
class Published:
    """A job's picture stands on its product.

    Args:
        target: Name of the target.
        filename: Of the picture in the shop.
        replaces: Id of the media in whose place it was put; ``None`` if it took nobody's.
    """

    target: str
    product: KnownProduct
    media: PublishedMedia
    filename: str
    replaces: str | None


async def publish_composite(
    services: Services,
    lookup: ProductLookup,
    job: Job,
    *,
    digest: str,
    pose: str | None,
    load: Load,
    turn: Turn,
) -> Published:
    """Publish a composite on the right product; nothing happens if it stands there already.

    Where another SKU of the product has put the same photo in the same theme there, its picture
    serves for both (``SAME_PHOTO_ONCE``).

    Args:
        turn: Holds a lease by its name: photos of one product take turns.
        digest: SHA-256 of the composite, as hex.
        pose: How the product is set into its scene, as the composite's facts have it.

    Raises:
        TargetError: No product or several have the SKU, or the shop refused the picture.
        JobError: The picture was made before it was known that the product lies; retryable.
        ServiceDownError: The shop is known to be down.
        ConfigurationError: No shop is configured.
    """
    target, key = services.require_target(), job.key
    filename = media_filename(key.sku, key.sha256, key.theme, job.variant, digest)
    record = await asyncio.to_thread(_Record, services.ledger.catalogue, filename, job.id)
    theme, limits = services.themes.get(key.theme), services.limits
    known = await lookup.trusted()
    outdated = _outdated(services, job, known, pose)
    if outdated is None:
        data = await load()

        async def put(product: KnownProduct) -> PublishedMedia:
            alt = alt_text(
                product.title or "",
                theme,
                limits.alt_characters,
                pattern=services.settings.publish_alt_text,
                sku=key.sku,
            )
            picture = Publication(product.product_id, filename, data, alt=alt)
            return await target.publish(picture, record)

        async with services.calling_target():
            product = await lookup.fresh()
            outdated = _outdated(services, job, product, pose)
            if outdated is None:
                async with _in_turn(services, turn, product, job):
                    shared = await _shared(services, target, product, job, record)
                    if shared is not None:
                        return shared
                    known_before = known is not None
                    product, media = await _put_on(put, product, lookup, was_known=known_before)
                    await record.attached(media.product_id)
    if outdated is not None:
        raise outdated  # which says nothing of the shop
    return Published(target.name, product, media, filename, record.replaces)


def _in_turn(
    services: Services, turn: Turn, product: KnownProduct, job: Job
) -> AbstractAsyncContextManager[None]:
    if not services.settings.same_photo_once:
        return nullcontext()
    return turn(picture_lease(product.product_id, job.key))


async def _shared(
    services: Services, target: Target, product: KnownProduct, job: Job, record: _Record
) -> Published | None:
    """The picture that another SKU has put on the product, if it is of the same photo and theme.

    A photo that has a picture of its own there keeps it.
    """
    product_id = product.product_id
    if not services.settings.same_photo_once or record.media_id or record.earlier(product_id):
        return None
    same = await asyncio.to_thread(services.ledger.catalogue.same_picture, job.key, product_id)
    if not same:
        return None
    stands = (await target.media_of([product_id]))[product_id] or ()
    ids = {each.id for each in stands}
    for media in same:
        if media.media_id in ids:
            put = PublishedMedia(media.media_id, product_id, "", reused=True)
            return Published(target.name, product, put, media.filename, None)
    return None


async def _put_on(
    put: Callable[[KnownProduct], Awaitable[PublishedMedia]],
    product: KnownProduct,
    lookup: ProductLookup,
    *,
    was_known: bool,
) -> tuple[KnownProduct, PublishedMedia]:
    """Put the picture on the product, or on the one that has the SKU now if that one is gone."""
    try:
        return product, await put(product)
    except TargetError as error:
        if error.retryable or not was_known:
            raise
        # The product may have been deleted or replaced since: look again before giving up.
        found = await lookup.again()
        if found.product_id == product.product_id:
            raise
    return found, await put(found)


def alt_text(
    title: str, theme: Theme, limit: int, *, pattern: str = "{title} {scene}", sku: str = ""
) -> str:
    """Describe a picture to those who do not see it: by default the product, and where it is shown.

    Args:
        title: The product's, as in the shop.
        limit: Characters at most; a longer title is cut between two words.
        pattern: PUBLISH_ALT_TEXT.
    """

    def filled(words: str) -> str:
        text = pattern.format(title=words, scene=theme.alt, sku=sku, theme=theme.name)
        return " ".join(text.split())

    words = " ".join(title.split()) or "Product"
    room = max(0, limit - len(filled("")) - 1)
    if len(words) > room:
        words = words[: room + 1].rpartition(" ")[0] or words[:room]
    return filled(words)[:limit]


def _outdated(
    services: Services, job: Job, product: KnownProduct | None, pose: str | None
) -> JobError | None:
    """Why a picture is made again instead of published: its product lies, but not in it.

    So it is where the shop said what the product is only after the picture was made.
    """
    lies = flat_lay_of(services.settings, job.key.sku, product)
    if lies is None or pose not in (Pose.STANDS, Pose.RESTS):
        return None
    return JobError(
        f"The product lies or hangs in its photo ({lies.reason}), which was not known when its "
        "picture was made. It is made again, at no cost; if it stands anyway, name it in "
        "UPRIGHT_SKUS.",
        code=ErrorCode.COMPOSITE_ERROR,
        retryable=True,
    )


class _Record:
    """The ledger's `targets.base.MediaRecord` of one file name."""

    def __init__(self, catalogue: Catalogue, filename: str, job_id: str) -> None:
        self._catalogue = catalogue
        self._filename = filename
        self._job_id = job_id
        media = catalogue.media_of_job(job_id)
        known = next((each for each in media if each.filename == filename), None)
        self.media_id = None if known is None else known.media_id
        self.replaces = None if known is None else known.replaces_media_id
        self._others = [each for each in media if each is not known]

    def earlier(self, product_id: str) -> tuple[str, ...]:
        """Other media of the job that may stand on a product, the last one first."""
        return tuple(each.media_id for each in self._others if each.may_stand_on(product_id))

    async def created(self, media_id: str) -> None:
        """The shop made the file: keep its id before waiting for it."""
        if media_id != self.media_id:
            await asyncio.to_thread(
                self._catalogue.created_media, self._filename, self._job_id, media_id
            )
            self.media_id, self.replaces = media_id, None

    async def replacing(self, media_id: str | None) -> None:
        """It takes that media's place."""
        if media_id != self.replaces:
            await asyncio.to_thread(self._catalogue.replacing_media, self._filename, media_id)
            self.replaces = media_id

    async def attached(self, product_id: str) -> None:
        """The file stands on the product, and no earlier one does."""
        await asyncio.to_thread(
            self._catalogue.attached_media, self._filename, product_id, self.earlier(product_id)
        )
