"""Cut-outs that a person repairs by hand.

The repaired cut-out takes the place of the stored one, as one that was made outside does: every
theme of the photo uses it, and nothing is bought. Each version is kept beside it under its digest,
so that a repair can be taken back, exactly.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import InvalidTransitionError, JobError, PhotoRejectedError
from photopipe_dagster.core.recipe import digest, outside_recipe
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.core.stages import SPECS, Stage
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.png import decode_cutout
from photopipe_dagster.imaging.retouch import Operation, repainted, retouched
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import cutout_lease
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.reviews import require_still
from photopipe_dagster.ledger.jobs.statuses import AT_REST, JobStatus, Review
from photopipe_dagster.ledger.repairs import Repair
from photopipe_dagster.pipeline.acceptance import AcceptedCutout, accept_cutout
from photopipe_dagster.pipeline.external import ObjectMissingError
from photopipe_dagster.storage.base import ObjectStore, StoredObject
from photopipe_dagster.storage.pictures import (
    DIGEST,
    PERSON,
    Artifact,
    CutoutFacts,
    OriginalFacts,
    PictureFacts,
    described,
    put_picture,
)

P = TypeVar("P", bound=PictureFacts)

_PNG: Final = SPECS[Stage.MASK].content_type


@dataclass(eq=False)
class OpenCutout:
    """A photo and its cut-out as they are stored, decoded, with what was last done to it.

    Args:
        digest: SHA-256 of the cut-out's file.
        photo: (height, width, 3) uint8, sRGB, at the cut-out's size.
        rgba: (height, width, 4) uint8, straight alpha.
    """

    digest: str
    photo: NDArray[np.uint8] = field(repr=False)
    rgba: NDArray[np.uint8] = field(repr=False)
    _done: tuple[tuple[Operation, ...], NDArray[np.uint8]] | None = field(default=None, repr=False)

    @cached_property
    def alpha(self) -> NDArray[np.uint8]:
        """(height, width) uint8."""
        return np.ascontiguousarray(self.rgba[..., 3])

    def after(self, operations: Sequence[Operation]) -> NDArray[np.uint8]:
        """The alpha after some operations. What a page asks for next costs one operation more."""
        wanted, done = tuple(operations), self._done
        if done is not None and wanted[: len(done[0])] == done[0]:
            alpha = retouched(self.photo, done[1], wanted[len(done[0]) :])
        else:
            alpha = retouched(self.photo, self.alpha, wanted)
        self._done = wanted, alpha
        return alpha


class CutoutRepairs:
    """Repairs the cut-outs of jobs, and takes repairs back.

    Args:
        settings: Limits of pictures, and how long a lease runs.
    """

    def __init__(self, settings: Settings, ledger: Ledger, store: ObjectStore) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store

    def open(self, job: Job) -> OpenCutout:
        """Read a job's photo and cut-out.

        Raises:
            ObjectMissingError: One of them is not stored.
            PhotoRejectedError: One of them cannot be read.
        """
        mask, cutout = self._stored(job, Stage.MASK, CutoutFacts)
        photo, _ = self._stored(job, Stage.ORIGINAL, OriginalFacts)
        limit = self._settings.image_max_pixels
        rgba = _readable(lambda: decode_cutout(mask.data, max_pixels=limit))
        size = (rgba.shape[1], rgba.shape[0])
        rgb = decode_rgb(photo.data, max_pixels=limit, cover=size)
        if rgb.shape[:2] != rgba.shape[:2]:
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        return OpenCutout(cutout.digest, rgb, rgba)

    def last(self, job: Job) -> Repair | None:
        """The repair that the stored cut-out came of; ``None`` if no person has repaired it."""
        info = self._store.head(job.key.object_key(Stage.MASK))
        stored = None if info is None else info.metadata.get(DIGEST)
        return None if stored is None else self._ledger.repairs.of(job.key, stored)

    def repair(
        self, job: Job, opened: OpenCutout, operations: Sequence[Operation], *, by: str
    ) -> list[Job]:
        """Store a cut-out after some operations, and have its pictures made again.

        Args:
            opened: The cut-out that the person saw.

        Returns:
            The jobs whose pictures are made again: this one, and those in other themes that were
            published or wait for a person. A person sees each picture before it is published.

        Raises:
            InvalidTransitionError: The job is under way, or the cut-out has changed since.
            ObjectMissingError: The photo or its cut-out is not stored any more.
            PhotoRejectedError: Nothing would change, or nothing would be left.
        """
        alpha = opened.after(operations)
        if np.array_equal(alpha, opened.alpha):
            raise PhotoRejectedError("That changes nothing. Mark what to keep or to remove.")
        rgba = repainted(opened.photo, opened.rgba, alpha)
        done = [each.model_dump(mode="json") for each in operations]
        return self._replace(job, opened.digest, rgba, done, by)

    def upload(self, job: Job, cutout: bytes, *, by: str) -> list[Job]:
        """Store a cut-out that a person has made with another program; else as `repair`.

        Args:
            cutout: A PNG of the whole photo with transparency.
        """
        return self._replace(job, None, cutout, [], by)

    def undo(self, job: Job, *, by: str) -> list[Job]:
        """Take the last repair back: the cut-out before it is stored again, bit for bit.

        Returns:
            As `repair`.

        Raises:
            InvalidTransitionError: The job is under way, or no repair is in force.
            ObjectMissingError: The cut-out before it is not stored any more.
        """
        require_still(job)
        with self._held(job):
            _, cutout = self._stored(job, Stage.MASK, CutoutFacts)
            repair = self._ledger.repairs.of(job.key, cutout.digest)
            if repair is None:
                raise InvalidTransitionError(f"No person has repaired the cut-out of job {job.id}.")
            key = job.key.repair_key(repair.before)
            earlier = self._store.get(key)
            if earlier is None:
                raise ObjectMissingError(f"The cut-out before the repair is not stored: {key}.")
            self._store.put(
                job.key.object_key(Stage.MASK),
                earlier.data,
                content_type=_PNG,
                metadata=earlier.info.metadata,
            )
            self._ledger.repairs.undone(repair.id, by=by)
        return self._remade(job, by, undone=True)

    def _replace(
        self,
        job: Job,
        seen: str | None,
        cutout: bytes | NDArray[np.uint8],
        operations: Sequence[dict[str, Any]],
        by: str,
    ) -> list[Job]:
        """Store a cut-out in the place of the one that the person saw, if it is still there."""
        require_still(job)
        _, original = self._stored(job, Stage.ORIGINAL, OriginalFacts)
        limit = self._settings.image_max_pixels
        made: AcceptedCutout = _readable(
            lambda: accept_cutout(cutout, original.facts.size, max_pixels=limit)
        )
        with self._held(job):
            mask, before = self._stored(job, Stage.MASK, CutoutFacts)
            if seen not in (None, before.digest):
                raise InvalidTransitionError(
                    "The cut-out has changed since this page was loaded: look at it again."
                )
            store_at = partial(
                put_picture,
                self._store,
                data=made.png,
                content_type=_PNG,
                recipe=outside_recipe(Stage.MASK, {Stage.ORIGINAL.value: original.digest}),
                facts=CutoutFacts(**made.facts.shown(), provider=PERSON),
            )
            # Both are kept before anything is replaced: a crash loses neither.
            self._keep(job, before.digest, mask)
            kept = store_at(job.key.repair_key(digest(made.png)))
            self._ledger.repairs.add(
                job.key, before=before.digest, after=kept.digest, operations=operations, by=by
            )
            store_at(job.key.object_key(Stage.MASK))
        return self._remade(job, by)

    def _keep(self, job: Job, of: str, mask: StoredObject) -> None:
        key = job.key.repair_key(of)
        if self._store.head(key) is None:
            self._store.put(key, mask.data, content_type=_PNG, metadata=mask.info.metadata)

    def _remade(self, job: Job, by: str, *, undone: bool = False) -> list[Job]:
        reviews = self._ledger.reviews
        others = [
            other
            for other in self._ledger.jobs.of_photo(job)
            if other.status is JobStatus.DONE or other.review is Review.WAITING
        ]
        remade = [reviews.cutout_changed(job.id, by=by, undone=undone)]
        for other in others:
            with suppress(InvalidTransitionError):  # it went on this moment
                remade.append(reviews.cutout_changed(other.id, by=by, undone=undone))
        return remade

    @contextmanager
    def _held(self, job: Job) -> Iterator[None]:
        """Hold the lease on the photo's cut-out, which a run that makes it holds, too."""
        leases, name = self._ledger.leases, cutout_lease(job.key)
        owner = f"{PERSON}-{secrets.token_hex(8)}"
        seconds = self._settings.job_lease_seconds
        if not leases.take([name], owner, lease_seconds=seconds):
            raise InvalidTransitionError(
                "The cut-out of this photo is being made or repaired now. Try again in a minute."
            )
        try:
            # Again: a cut-out takes seconds to read, in which another person may let the job go on.
            require_still(self._ledger.jobs.require(job.id))
            yield
        finally:
            leases.release(owner, [name])

    def _stored(self, job: Job, stage: Stage, facts: type[P]) -> tuple[StoredObject, Artifact[P]]:
        key = job.key.object_key(stage)
        stored = self._store.get(key)
        picture = None if stored is None else described(stored.info, facts)
        if stored is None or picture is None:
            raise ObjectMissingError(
                f"There is no picture {key}. `photopipe retry` makes it again."
            )
        return stored, picture


def can_repair(job: Job) -> bool:
    """Whether a job has a cut-out, and is at rest or waits for a person."""
    still = job.review is Review.WAITING or job.status in AT_REST
    return still and job.object_keys[Stage.MASK] is not None


def _readable(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except PhotoRejectedError:
        raise
    except JobError as error:
        raise PhotoRejectedError(f"The cut-out cannot be used: {error.message}") from error
