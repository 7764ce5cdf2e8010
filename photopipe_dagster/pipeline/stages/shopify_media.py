"""Stage *shopify_media*: the composite, as a media on the product that has the photo's SKU."""

from __future__ import annotations

import asyncio
from functools import partial

from photopipe_dagster.core.recipe import recipe
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.publishing.approval import Held, ensure_publishable
from photopipe_dagster.publishing.publish import publish_composite
from photopipe_dagster.storage.pictures import Artifact, CompositeFacts, PublishedFacts


async def publish_media(
    photo: PhotoContext, composite: Artifact[CompositeFacts]
) -> StageResult[PublishedFacts] | Held:
    """Publish the composite on the right product, once; or not, where a person decides first.

    Raises:
        CompositeError: A check failed.
        JobError, ConfigurationError: As `publish_composite` says.
    """
    services = photo.services
    services.require_target()
    job = await asyncio.to_thread(services.ledger.jobs.require, photo.job.id)
    theme = services.themes.get(photo.key.theme)
    held = ensure_publishable(job, theme, composite.digest, services.settings)
    if held is not None:
        return held
    done = await publish_composite(
        services,
        photo.product,
        job,
        digest=composite.digest,
        pose=composite.facts.pose,
        load=lambda: photo.pictures.bytes_of(composite),
        turn=partial(photo.leases.hold, waiting=photo.slot.released),
    )
    return StageResult(
        Artifact(
            key=None,
            recipe=recipe(Stage.SHOPIFY_MEDIA, {}, {"composite": composite.digest}),
            digest=composite.digest,
            facts=PublishedFacts(
                product_id=done.media.product_id,
                product_title=done.product.title or "",
                media_id=done.media.media_id,
                filename=done.filename,
                url=done.media.url,
                replaces_media_id=done.replaces,
            ),
        ),
        reused=done.media.reused,
        provider=done.target,
    )
