"""The pictures of one photo: in the object store, and for a while in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from photopipe_dagster.core.errors import JobError, StorageError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.stages import SPECS, Stage
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.runtime.picture_cache import PictureCache
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import (
    Artifact,
    BackgroundFacts,
    CutoutFacts,
    P,
    find_picture,
    is_sound,
    put_picture,
)


@dataclass(frozen=True, slots=True)
class PhotoPictures:
    """Reads and writes the pictures of one photo.

    A picture that was kept is handed out once, to the stage that needs it last: `bytes_of` and
    `cutout_of` read it again from the store where it was not kept.

    Args:
        variant: Which of several backgrounds, from 1.
    """

    store: ObjectStore
    cache: PictureCache
    key: PhotoKey
    variant: int

    async def find(self, stage: Stage, facts: type[P], *recipes: str) -> Artifact[P] | None:
        """The stored picture of a stage, if it is there (and made by one of those recipes)."""
        key = self.key.object_key(stage, self.variant)
        picture = await asyncio.to_thread(find_picture, self.store, key, facts)
        if picture is None or (recipes and picture.recipe not in recipes):
            return None
        return picture

    async def require(self, stage: Stage, facts: type[P]) -> Artifact[P]:
        """The stored picture of a stage.

        Raises:
            JobError: It is not there.
        """
        picture = await self.find(stage, facts)
        if picture is None:
            raise JobError(
                f"No stored {stage} for this photo. Materialize {stage} first (in the Dagster UI, "
                "or `photopipe retry` for all stages)."
            )
        return picture

    async def put(
        self,
        stage: Stage,
        data: bytes,
        *,
        recipe: str,
        facts: P,
        content_type: str | None = None,
    ) -> Artifact[P]:
        """Store the picture of a stage; ``content_type`` is the stage's where it is not given."""
        return await asyncio.to_thread(
            put_picture,
            self.store,
            self.key.object_key(stage, self.variant),
            data,
            content_type=content_type or SPECS[stage].content_type,
            recipe=recipe,
            facts=facts,
        )

    def keep(self, artifact: Artifact[Any], picture: bytes | CutoutPicture) -> None:
        """Keep a picture in memory for a later stage, if there is room."""
        self.cache.keep(self.key, artifact.digest, picture)

    async def bytes_of(self, artifact: Artifact[Any]) -> bytes:
        """The bytes of a picture, proven to be those that were stored.

        Raises:
            JobError: It has left the store, or is damaged there. A damaged one is removed, so that
                the next try makes it again: by itself, where nothing was paid for it.
        """
        kept = self.cache.take(self.key, artifact.digest)
        if isinstance(kept, bytes):
            return kept
        stored = await asyncio.to_thread(self.store.get, str(artifact.key))
        if stored is None:
            raise JobError(
                f"{artifact.key} has left the object store. Materialize its asset again."
            )
        if not await asyncio.to_thread(is_sound, stored):
            await asyncio.to_thread(self.store.delete, stored.info.key)
            raise _damaged(artifact)
        return stored.data

    async def cutout_of(self, artifact: Artifact[CutoutFacts]) -> CutoutPicture:
        """A cut-out, decoded.

        Raises:
            JobError: It has left the store, or cannot be read.
        """
        kept = self.cache.take(self.key, artifact.digest)
        if isinstance(kept, CutoutPicture):
            return kept
        return await asyncio.to_thread(CutoutPicture.from_png, await self.bytes_of(artifact))


_MAY_BE_BOUGHT: Final = (CutoutFacts, BackgroundFacts)


def _damaged(artifact: Artifact[Any]) -> StorageError:
    said = f"{artifact.key} was damaged in the object store: its bytes are not those of its SHA-256"
    if isinstance(artifact.facts, _MAY_BE_BOUGHT):
        return StorageError(
            f"{said}. It was removed. `photopipe retry JOB` makes it again, and pays for it again "
            "where its provider takes money.",
            details={"key": artifact.key},
            retryable=False,
        )
    return StorageError(
        f"{said}. It was removed, and is made again.", details={"key": artifact.key}
    )
