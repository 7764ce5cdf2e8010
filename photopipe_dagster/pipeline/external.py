"""Work that an orchestrator outside of Dagster does, such as n8n: what it brings is taken for done.

It starts a job, which it then holds: the pipeline leaves the job alone until the orchestrator has
brought it to its end, gives it back, or has not been heard of for as long as it said. Then the
pipeline goes on from there, and makes and pays nothing that is there.

Whatever is told twice is done once: each step of a completion finds what an earlier try has done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from photopipe_dagster.core.errors import (
    InvalidTransitionError,
    JobError,
    PhotopipeError,
    PhotoRejectedError,
)
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.recipe import digest, outside_recipe, recipe
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.decode import decode_rgb, inspect
from photopipe_dagster.imaging.png import decode_cutout, encode_cutout
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import job_claim
from photopipe_dagster.ledger.jobs.model import OUTSIDE, Job
from photopipe_dagster.ledger.jobs.statuses import PATH, JobStatus
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.shopify.publish import media_filename
from photopipe_dagster.storage.base import ObjectStore, StoredObject
from photopipe_dagster.storage.pictures import DIGEST, RECIPE, stored_picture

UPLOAD: Final = "upload"
"""In the metadata of an object: SHA-256 of what was uploaded, which is what was paid for."""

_RATIO_TOLERANCE: Final = 0.02
"""A cut-out may be of another size than its photo, not of another shape."""

_READY: Final[Mapping[Stage, tuple[JobStatus, ...]]] = {
    Stage.MASK: (JobStatus.QUEUED, JobStatus.SEGMENTING),
    Stage.BACKGROUND: (JobStatus.BG_GENERATING,),
    Stage.COMPOSITE: (JobStatus.COMPOSITING,),
    Stage.SHOPIFY_MEDIA: (JobStatus.SHOPIFY_PUSH,),
}
"""In which statuses a stage can be told to be complete."""

_AFTER: Final[Mapping[Stage, JobStatus]] = {
    Stage.MASK: JobStatus.BG_GENERATING,
    Stage.BACKGROUND: JobStatus.COMPOSITING,
    Stage.COMPOSITE: JobStatus.SHOPIFY_PUSH,
    Stage.SHOPIFY_MEDIA: JobStatus.DONE,
}

_ROUTES: Final[Mapping[Stage, str]] = {
    Stage.MASK: "segmentation",
    Stage.BACKGROUND: "backgrounds",
    Stage.COMPOSITE: "composite",
    Stage.SHOPIFY_MEDIA: "shopify",
}
"""How the API calls the completion of a stage."""

Read = TypeVar("Read")

Report = Callable[[PhotoKey, Stage, Mapping[str, Any]], None]
"""Tells Dagster that a stage of a photo is materialized, with facts to show."""


class ObjectMissingError(PhotopipeError):
    """The picture is not in the store under its key; says which, and what to do."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture as it is to be stored.

    Args:
        facts: ``width`` and ``height`` in pixels, and what else a stage writes down.
    """

    data: bytes
    content_type: str
    facts: Mapping[str, object]


class Outside:
    """Takes what an outside orchestrator tells.

    Args:
        settings: Limits of pictures.
        ledger: Where jobs, claims and spending are.
        store: Where the pictures are.
        report: Tells Dagster.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, store: ObjectStore, report: Report
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._report = report

    def start(self, job_id: str, hold: int) -> Job:
        """Queue a job for the orchestrator; again, to hold it for longer.

        Args:
            hold: Seconds until the pipeline takes the job over; 0: at once.

        Raises:
            InvalidTransitionError: The pipeline is at work on it, or there is nothing to start.
        """
        return self._released(self._take(job_id, hold, begin=True), hold)

    def complete(
        self,
        job: Job,
        stage: Stage,
        object_key: str,
        *,
        cost: Decimal = Decimal(0),
        facts: Mapping[str, str],
        hold: int,
    ) -> Job:
        """A picture was made: take it for done if it is there, and is one.

        Args:
            stage: MASK, BACKGROUND or COMPOSITE.
            object_key: Where it is stored.
            cost: USD that it has cost.
            facts: ``provider`` and ``model``, where they are known.
            hold: As in `start`.

        Raises:
            InvalidTransitionError: It is not this stage's turn; says what is allowed.
            PhotoRejectedError: The key is not the stage's, or the picture is of no use.
            ObjectMissingError: The picture, or one that it was made of, is not there.
        """
        expected = job.key.object_key(stage, job.variant)
        if object_key != expected:
            raise PhotoRejectedError(
                f"s3Key: the {stage} of this job is stored as {expected}, and nowhere else."
            )
        if job.object_keys[stage] == expected and _is_past(job, stage):
            return job
        job = self._turn(job, stage, hold)
        if stage is Stage.MASK:
            self._describe_original(job)
        stored = self._describe(job, stage, facts)
        provider = facts.get("provider", OUTSIDE)
        if cost:
            self._ledger.spending.book(
                f"{expected}#{stored.info.metadata.get(UPLOAD, stored.info.metadata[DIGEST])}",
                key=job.key,
                stage=stage,
                provider=provider,
                amount=cost,
                owner=OUTSIDE,
            )
        self._ledger.jobs.advance(
            job.id,
            _AFTER[stage],
            stored=(stage, expected),
            step=Step(stage, OUTSIDE, 0.0, reused=True, cost=cost, provider=provider),
        )
        shown = dict(stored.info.metadata) | {"key": expected, "cost_usd": float(cost)}
        self._report(job.key, stage, shown)
        return self._released(self._ledger.jobs.require(job.id), hold)

    def published(self, job: Job, product_id: str, media_id: str) -> Job:
        """The composite stands on its product as that media.

        Raises:
            InvalidTransitionError: It is not yet time for that, or it stands there as another.
            ObjectMissingError: The composite is not there.
        """
        stage = Stage.SHOPIFY_MEDIA
        told = (product_id, media_id)
        if job.status is JobStatus.DONE and told == (job.shopify_product_id, job.shopify_media_id):
            return job
        job = self._turn(job, stage, 0)
        composite = stored_picture(self._require(job, Stage.COMPOSITE).info)
        if composite is None:
            raise ObjectMissingError(
                f"{job.object_keys[Stage.COMPOSITE]} was replaced after it was told to be complete."
            )
        photo = job.key
        filename = media_filename(
            photo.sku, photo.sha256, photo.theme, variant=job.variant, digest=composite.digest
        )
        self._ledger.catalogue.created_media(filename, job.id, media_id)
        self._ledger.catalogue.attached_media(filename, product_id)
        self._ledger.jobs.advance(
            job.id, _AFTER[stage], published=told, step=Step(stage, OUTSIDE, 0.0, reused=True)
        )
        self._report(photo, stage, {"product_id": product_id, "media_id": media_id})
        return self._released(self._ledger.jobs.require(job.id), 0)

    def fail(self, job: Job, error: JobError) -> Job:
        """The orchestrator has failed; where trying again can help, the pipeline does.

        Raises:
            InvalidTransitionError: The orchestrator does not work on the job.
        """
        told = (error.code, error.message)
        if job.status is JobStatus.FAILED and told == (job.error_code, job.error_message):
            return job
        self._take(job.id, 0, begin=job.status is JobStatus.NEW)
        return self._released(self._ledger.jobs.fail(job.id, error), 0)

    # --- whose turn it is ------------------------------------------------------------------

    def _turn(self, job: Job, stage: Stage, hold: int) -> Job:
        if job.status not in _READY[stage]:
            allowed = [_ROUTES[each] for each, ready in _READY.items() if job.status in ready]
            raise InvalidTransitionError(
                f"Job {job.id} is {job.status}. Allowed now: "
                + ", ".join([*allowed, "fail"] if allowed else ["start"])
                + "."
            )
        return self._take(job.id, hold)

    def _take(self, job_id: str, hold: int, *, begin: bool = False) -> Job:
        # Also what is given back at once is claimed, as long as this call lasts.
        lease = max(hold, self._settings.job_lease_seconds)
        name = job_claim(job_id)
        if not self._ledger.claims.take([name], OUTSIDE, lease_seconds=lease):
            raise InvalidTransitionError(
                f"The pipeline is at work on job {job_id}. Wait until it is done."
            )
        try:
            return self._ledger.jobs.take_outside(job_id, begin=begin)
        except InvalidTransitionError:
            self._ledger.claims.release(OUTSIDE, [name])
            raise

    def _released(self, job: Job, hold: int) -> Job:
        """Keep a job for as long as was asked for, or give it back."""
        name = job_claim(job.id)
        if hold and job.status not in (JobStatus.DONE, JobStatus.FAILED):
            self._ledger.claims.take([name], OUTSIDE, lease_seconds=hold)
            return job
        self._ledger.jobs.hand_back([job.id], OUTSIDE)
        self._ledger.claims.release(OUTSIDE, [name])
        return self._ledger.jobs.require(job.id)

    # --- pictures --------------------------------------------------------------------------

    def _require(self, job: Job, stage: Stage) -> StoredObject:
        key = job.key.object_key(stage, job.variant)
        stored = self._store.get(key)
        if stored is None:
            raise ObjectMissingError(
                f"There is no object {key}. Upload it with a URL of /start, and send this again."
            )
        return stored

    def _describe_original(self, job: Job) -> None:
        """See that the photo is the one that was announced, and say so of its object."""
        stored = self._require(job, Stage.ORIGINAL)
        if stored_picture(stored.info) is None:
            true = digest(stored.data)
            if not true.startswith(job.key.sha256):
                raise PhotoRejectedError(
                    f"{stored.info.key} is not the photo that was announced: its sha256 begins "
                    f"{true[:12]}. Upload the photo itself."
                )
            info = inspect(
                stored.data,
                max_pixels=self._settings.image_max_pixels,
                min_side=self._settings.image_min_side,
            )
            facts = {
                "width": info.width,
                "height": info.height,
                "format": info.format,
                "content_type": info.content_type,
            }
            made_by = recipe(Stage.ORIGINAL, {}, {"sha256": job.key.sha256})
            picture = _Picture(stored.data, info.content_type, facts)
            stored = self._put(stored, picture, made_by)
        if job.object_keys[Stage.ORIGINAL] is None:
            self._ledger.jobs.advance(
                job.id,
                JobStatus.SEGMENTING,
                stored=(Stage.ORIGINAL, stored.info.key),
                step=Step(Stage.ORIGINAL, OUTSIDE, 0.0, reused=True),
            )
            self._report(job.key, Stage.ORIGINAL, {**stored.info.metadata, "key": stored.info.key})

    def _describe(self, job: Job, stage: Stage, facts: Mapping[str, str]) -> StoredObject:
        """The stage's object, as the pipeline describes what it makes itself."""
        stored = self._require(job, stage)
        if stored_picture(stored.info) is not None:
            return stored
        before = {
            Stage.MASK: (Stage.ORIGINAL,),
            Stage.BACKGROUND: (),
            Stage.COMPOSITE: (Stage.MASK, Stage.BACKGROUND),
        }
        inputs = {}
        for each in before[stage]:
            made_of = stored_picture(self._require(job, each).info)
            if made_of is None:
                raise ObjectMissingError(
                    f"The {each} was replaced after it was told to be complete. Start again."
                )
            inputs[each.value] = made_of.digest
        limit = self._settings.image_max_pixels
        if stage is Stage.MASK:
            original = stored_picture(self._require(job, Stage.ORIGINAL).info)
            size = (0, 0) if original is None else original.size
            picture = _usable(lambda: _cutout(stored.data, size, limit), stage)
        else:
            picture = _usable(lambda: _jpeg(stored.data, limit), stage)
        picture = _Picture(picture.data, picture.content_type, {**facts, **picture.facts})
        return self._put(stored, picture, outside_recipe(stage, inputs))

    def _put(self, stored: StoredObject, picture: _Picture, made_by: str) -> StoredObject:
        metadata = {name: str(value) for name, value in picture.facts.items()}
        metadata |= {RECIPE: made_by, DIGEST: digest(picture.data), UPLOAD: digest(stored.data)}
        info = self._store.put(
            stored.info.key, picture.data, content_type=picture.content_type, metadata=metadata
        )
        return StoredObject(info, picture.data)


def _is_past(job: Job, stage: Stage) -> bool:
    return job.status in PATH and PATH.index(job.status) >= PATH.index(_AFTER[stage])


def _usable(read: Callable[[], Read], stage: Stage) -> Read:
    try:
        return read()
    except PhotoRejectedError:
        raise
    except JobError as error:
        raise PhotoRejectedError(f"The {stage} cannot be used: {error.message}") from error


def _cutout(png: bytes, photo: tuple[int, int], max_pixels: int) -> _Picture:
    rgba = decode_cutout(png, max_pixels=max_pixels)
    height, width = rgba.shape[:2]
    if abs(width / height - photo[0] / photo[1]) > _RATIO_TOLERANCE * photo[0] / photo[1]:
        raise PhotoRejectedError(
            f"The cut-out is {width}×{height} pixels, the photo {photo[0]}×{photo[1]}: it must "
            "show the whole photo, neither cropped nor turned."
        )
    if not rgba[..., 3].any():
        raise PhotoRejectedError("The cut-out is empty: every pixel is transparent.")
    return _Picture(encode_cutout(rgba), "image/png", {"width": width, "height": height})


def _jpeg(data: bytes, max_pixels: int) -> _Picture:
    info = inspect(data, max_pixels=max_pixels)
    jpeg = data
    if info.content_type != "image/jpeg":
        rgb = decode_rgb(data, max_pixels=max_pixels)
        jpeg = encode_jpeg(rgb, quality=95, full_colour=True)
    return _Picture(jpeg, "image/jpeg", {"width": info.width, "height": info.height})
