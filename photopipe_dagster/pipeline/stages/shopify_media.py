"""Stage *shopify_media*: the composite, as a media on the product that has the photo's SKU."""

from __future__ import annotations

import asyncio

from photopipe_dagster.core.errors import ErrorCode, JobError, ShopifyError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.recipe import recipe
from photopipe_dagster.imaging.composite import Pose
from photopipe_dagster.ledger.catalogue import Catalogue, KnownProduct
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.publishing.approval import ensure_publishable
from photopipe_dagster.publishing.flat_lay import lying
from photopipe_dagster.publishing.product_lookup import is_trusted, look_up, remembered_product
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster.shopify.models import FoundProduct, PublishedMedia
from photopipe_dagster.shopify.publish import MAX_ALT_CHARACTERS, media_filename, publish
from photopipe_dagster.storage.pictures import Artifact, CompositeFacts, PublishedFacts
from photopipe_dagster.themes.model import Theme


async def publish_media(
    photo: PhotoContext, composite: Artifact[CompositeFacts]
) -> StageResult[PublishedFacts]:
    """Publish the composite on the right product, once.

    Raises:
        ShopifyError: No product or several have the SKU, or Shopify refused the picture.
        JobError: The picture was made before it was known that the product lies; retryable.
        ServiceDownError: Shopify is known to be down.
        ConfigurationError: No shop is configured.
        HeldForReview: A person decides first.
    """
    services = photo.services
    client = services.require_shopify()
    job = await asyncio.to_thread(services.ledger.jobs.require, photo.job.id)
    ensure_publishable(job, composite.digest, services.settings)
    jpeg = await photo.pictures.bytes_of(composite)
    filename = media_filename(
        photo.key.sku,
        photo.key.sha256,
        photo.key.theme,
        variant=photo.job.variant,
        digest=composite.digest,
    )
    book = await asyncio.to_thread(_Book, services.ledger.catalogue, filename, photo.job.id)
    remembered = await _remembered(photo)
    outdated = None if remembered is None else _outdated(photo, composite, remembered)
    if outdated is None:
        async with services.calling_shopify():
            product = remembered or await look_up(services, client, photo.key.sku)
            outdated = _outdated(photo, composite, product)
            if outdated is None:
                product, media = await _publish(
                    photo, client, product, filename, jpeg, book, remembered=remembered is not None
                )
    if outdated is not None:
        raise outdated  # which says nothing of the shop
    await book.attached(media.product_id)
    return StageResult(
        Artifact(
            key=None,
            recipe=recipe(Stage.SHOPIFY_MEDIA, {}, {"composite": composite.digest}),
            digest=composite.digest,
            facts=PublishedFacts(
                product_id=media.product_id,
                product_title=product.title or "",
                media_id=media.media_id,
                filename=filename,
                url=media.url,
                replaces_media_id=book.replaces,
            ),
        ),
        reused=media.reused,
        provider="shopify",
    )


class _Book:
    """The ledger's record of one media, and of those that were made for the same job before."""

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
        """Shopify made the file: keep its id before waiting for it."""
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


def _outdated(
    photo: PhotoContext, composite: Artifact[CompositeFacts], product: KnownProduct
) -> JobError | None:
    """Why a picture is made again instead of published: its product stands in it, and lies.

    So it is where the shop said what the product is only after the picture was made.
    """
    lies = lying(photo.services.settings, photo.key.sku, product)
    if lies is None or composite.facts.pose != Pose.STANDS:
        return None
    return JobError(
        f"The product lies or hangs in its photo ({lies.why}), which was not known when its "
        "picture was made. It is made again, at no cost; if it stands all the same, name it in "
        "STANDING_SKUS.",
        code=ErrorCode.COMPOSITE_ERROR,
        retryable=True,
    )


async def _publish(
    photo: PhotoContext,
    client: ShopifyClient,
    product: KnownProduct,
    filename: str,
    jpeg: bytes,
    book: _Book,
    *,
    remembered: bool,
) -> tuple[KnownProduct, PublishedMedia]:
    try:
        return product, await _put(photo, client, product, filename, jpeg, book)
    except ShopifyError as error:
        if error.retryable or not remembered:
            raise
        # The product may have been deleted or replaced since: look again before giving up.
        await asyncio.to_thread(photo.services.ledger.catalogue.forget_product, photo.key.sku)
        found = await look_up(photo.services, client, photo.key.sku)
        if found.product_id == product.product_id:
            raise
    return found, await _put(photo, client, found, filename, jpeg, book)


async def _put(
    photo: PhotoContext,
    client: ShopifyClient,
    product: KnownProduct,
    filename: str,
    jpeg: bytes,
    book: _Book,
) -> PublishedMedia:
    settings = photo.services.settings
    return await publish(
        client,
        product=_as_found(product),
        filename=filename,
        data=jpeg,
        alt=alt_text(product.title or "", photo.services.themes.get(photo.key.theme)),
        book=book,
        ready_timeout=settings.shopify_ready_timeout_seconds,
        poll_seconds=settings.shopify_poll_seconds,
    )


def alt_text(title: str, theme: Theme) -> str:
    """Describe a picture to those who do not see it: the product, and where it is shown.

    Args:
        title: The product's, as in the shop.

    Returns:
        At most `MAX_ALT_CHARACTERS`; a longer title is cut between two words.
    """
    words = " ".join(title.split()) or "Product"
    room = MAX_ALT_CHARACTERS - len(theme.alt) - 1
    if len(words) > room:
        words = words[: room + 1].rpartition(" ")[0] or words[:room]
    return f"{words} {theme.alt}"


def _as_found(product: KnownProduct) -> FoundProduct:
    return FoundProduct(
        id=product.product_id,
        title=product.title or "",
        handle=product.handle or "",
        status="ACTIVE",
    )


async def _remembered(photo: PhotoContext) -> KnownProduct | None:
    """The product, if Shopify has named it lately: at the photo's beginning, or to another one."""
    known = photo.product
    if not is_trusted(photo.services, known):
        known = await remembered_product(photo.services, photo.key.sku)
    return known if is_trusted(photo.services, known) else None
