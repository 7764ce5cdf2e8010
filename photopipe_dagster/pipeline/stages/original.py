"""Stage *original*: the photo as it was taken, verbatim, proven by its hash."""

from __future__ import annotations

import asyncio

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.recipe import digest, recipe
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.pipeline.stages import pictures
from photopipe_dagster.pipeline.work import StageOutcome, Work


async def original(work: Work) -> StageOutcome:
    """Fetch the photo, unless it is stored already, and see that it can be worked with.

    Raises:
        PhotoRejectedError: There is nothing to fetch, the bytes are not those that were announced,
            or they are no picture that can be worked with.
    """
    made_by = recipe(Stage.ORIGINAL, {}, {"sha256": work.key.sha256})
    stored = await pictures.find(work, Stage.ORIGINAL, made_by)
    reused = stored is not None
    if stored is None:
        data = await _fetch(work)
        facts = await asyncio.to_thread(_checked, work, data)
        work.original = data
        stored = await pictures.keep(
            work,
            Stage.ORIGINAL,
            data,
            content_type=str(facts["content_type"]),
            recipe=made_by,
            facts=facts,
        )
    else:
        work.original = await pictures.read(work, Stage.ORIGINAL)
    async with work.services.pictures:
        thumbnail = await asyncio.to_thread(thumbnail_data_uri, work.original)
    return StageOutcome(
        object_key=stored.key,
        recipe=made_by,
        digest=stored.digest,
        reused=reused,
        facts={**stored.facts, "bytes": len(work.original)},
        thumbnail=thumbnail,
    )


async def _fetch(work: Work) -> bytes:
    # Put there by `photopipe submit` or with a signed URL: no recipe yet, but it may be the photo.
    key = work.key.object_key(Stage.ORIGINAL)
    found = await asyncio.to_thread(work.services.store.get, key)
    if found is not None:
        return found.data
    if work.job.image_url is None:
        raise PhotoRejectedError(
            "Nothing is known of this photo: there is no URL to fetch it from and it is not in "
            "the store. Announce it by webhook, or `photopipe submit FILE --sku SKU`."
        )
    return await work.services.download(work.job.image_url)


def _check_hash(work: Work, data: bytes) -> None:
    true = digest(data)
    if not true.startswith(work.key.sha256):
        raise PhotoRejectedError(
            f"The photo is not the one that was announced: its sha256 begins {true[:12]}, "
            f"announced was {work.key.sha256[:12]}. Announce it again with its true sha256.",
            details={"announced": work.key.sha256, "true": true, "bytes": len(data)},
        )


def _checked(work: Work, data: bytes) -> dict[str, object]:
    """What a photo is, if it is the one that was announced."""
    _check_hash(work, data)
    settings = work.services.settings
    info = inspect(data, max_pixels=settings.image_max_pixels, min_side=settings.image_min_side)
    return {
        "width": info.width,
        "height": info.height,
        "format": info.format,
        "content_type": info.content_type,
    }
