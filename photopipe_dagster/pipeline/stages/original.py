"""Stage *original*: the photo as it was taken, verbatim, proven by its hash."""

from __future__ import annotations

import asyncio

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.recipe import digest, recipe
from photopipe_dagster.core.stages import Stage
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.pipeline.acceptance import accept_original
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.storage.pictures import OriginalFacts


async def fetch_original(photo: PhotoContext) -> StageResult[OriginalFacts]:
    """Fetch the photo, unless it is stored already, and see that it can be worked with.

    Raises:
        PhotoRejectedError: There is nothing to fetch, the bytes are not those that were announced,
            or they are no picture that can be worked with.
    """
    pictures, settings = photo.pictures, photo.services.settings
    recipe_id = recipe(Stage.ORIGINAL, {}, {"sha256": photo.key.sha256})
    artifact = await pictures.find(Stage.ORIGINAL, OriginalFacts, recipe_id)
    reused = artifact is not None
    if artifact is None:
        data = await _fetch(photo)
        facts = await asyncio.to_thread(accept_original, data, photo.key, settings)
        artifact = await pictures.put(
            Stage.ORIGINAL, data, recipe=recipe_id, facts=facts, content_type=facts.content_type
        )
    else:
        data = await pictures.bytes_of(artifact)
    pictures.keep(artifact, data)
    async with photo.services.decode_slots:
        thumbnail = await asyncio.to_thread(thumbnail_data_uri, data)
    return StageResult(artifact, reused, shown={"bytes": len(data)}, thumbnail=thumbnail)


async def _fetch(photo: PhotoContext) -> bytes:
    # Put there by `photopipe submit` or with a signed URL: no recipe yet, but it may be the photo.
    key = photo.key.object_key(Stage.ORIGINAL)
    found = await asyncio.to_thread(photo.services.store.get, key)
    url = photo.job.image_url
    if found is not None and (url is None or digest(found.data).startswith(photo.key.sha256)):
        return found.data
    if url is None:
        raise PhotoRejectedError(
            "Nothing is known of this photo: there is no URL to fetch it from and it is not in "
            "the store. Announce it by webhook, or `photopipe submit FILE --sku SKU`."
        )
    return await photo.services.fetch_photo(url)
