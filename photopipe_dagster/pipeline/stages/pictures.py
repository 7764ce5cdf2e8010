"""Reading and writing the pictures of a photo, with the recipe that each was made by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from photopipe_dagster.core.errors import JobError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.pipeline.work import Work
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import DIGEST, RECIPE, StoredPicture, stored_picture


async def find(work: Work, stage: Stage, *recipes: str) -> StoredPicture | None:
    """The stored picture of a stage, if it is there (and made by one of those recipes)."""
    key = work.key.object_key(stage, work.job.variant)
    info = await asyncio.to_thread(work.services.store.head, key)
    picture = None if info is None else stored_picture(info)
    if picture is None or (recipes and picture.recipe not in recipes):
        return None
    return picture


async def require(work: Work, stage: Stage) -> StoredPicture:
    """The stored picture of an earlier stage; the store is asked unless this run had that stage.

    Raises:
        JobError: It is not there.
    """
    done = work.outcomes.get(stage)
    if done is not None and done.object_key is not None:
        facts = {name: str(value) for name, value in done.facts.items()}
        return StoredPicture(done.object_key, done.recipe, done.digest, facts)
    picture = await find(work, stage)
    if picture is None:
        raise JobError(
            f"The {stage} of this photo is not in the store: materialize {stage} too "
            "(in the Dagster UI, or `photopipe retry` for the whole way)."
        )
    return picture


async def read(work: Work, stage: Stage) -> bytes:
    """The bytes of a stored picture.

    Raises:
        JobError: It is not there.
    """
    key = work.key.object_key(stage, work.job.variant)
    stored = await asyncio.to_thread(work.services.store.get, key)
    if stored is None:
        raise JobError(f"The {stage} of this photo has left the store: materialize {stage} again.")
    return stored.data


async def keep(
    work: Work,
    stage: Stage,
    data: bytes,
    *,
    content_type: str,
    recipe: str,
    facts: Mapping[str, object],
) -> StoredPicture:
    """Store the picture of a stage with its recipe."""
    key = work.key.object_key(stage, work.job.variant)
    metadata = {name: str(value) for name, value in facts.items()} | {RECIPE: recipe}
    return await asyncio.to_thread(_put, work.services.store, key, data, content_type, metadata)


def _put(
    store: ObjectStore, key: str, data: bytes, content_type: str, metadata: dict[str, str]
) -> StoredPicture:
    metadata = metadata | {DIGEST: digest(data)}
    info = store.put(key, data, content_type=content_type, metadata=metadata)
    return StoredPicture(info.key, metadata[RECIPE], metadata[DIGEST], metadata)
