"""Work that an orchestrator outside of Dagster does, such as n8n: what it brings is taken for done.

It starts a job, which it then holds: the pipeline leaves the job alone until the orchestrator has
brought it to its end, gives it back, or has not been heard of for as long as it said. Then the
pipeline goes on from there, and makes and pays nothing that is there.

Whatever is told twice is done once: each step of a completion finds what an earlier try has done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from photopipe_dagster.core.errors import (
    InvalidTransitionError,
    JobError,
    PhotopipeError,
    PhotoRejectedError,
)
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.recipe import digest, outside_recipe, recipe
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.core.stages import SPECS, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.model import EXTERNAL, Job
from photopipe_dagster.ledger.jobs.statuses import AT_REST, PATH, JobStatus
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.pipeline.acceptance import accept_cutout, accept_jpeg, accept_original
from photopipe_dagster.publishing.filenames import media_filename
from photopipe_dagster.storage.base import ObjectStore, StoredObject
from photopipe_dagster.storage.pictures import (
    RECIPE,
    Artifact,
    CompositeFacts,
    OriginalFacts,
    PictureFacts,
    described,
    put_picture,
)

UPLOAD: Final = "upload"
"""In the metadata of an object: SHA-256 of what was uploaded, which is what was paid for."""

Taken = TypeVar("Taken")

Report = Callable[[PhotoKey, Stage, Mapping[str, Any]], None]
"""Tells Dagster that a stage of a photo is materialized, with facts to show."""


class ObjectMissingError(PhotopipeError):
    """The picture is not in the store under its key; says which, and what to do."""


class ExternalOrchestrator:
    """Takes what an outside orchestrator tells.

    Args:
        settings: Limits of pictures.
        ledger: Where jobs, leases and spending are.
        store: Where the pictures are.
        report: Tells Dagster.
        fetch: The bytes of a photo, from where it was announced; raises `JobError`.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: ObjectStore,
        report: Report,
        fetch: Callable[[str], bytes],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._report = report
        self._fetch = fetch

    def start(self, job_id: str, hold: int) -> Job:
        """Queue a job for the orchestrator; again, to hold it for longer.

        Args:
            hold: Seconds until the pipeline takes the job over; 0: at once.

        Raises:
            InvalidTransitionError: The pipeline is at work on it, or there is nothing to start.
        """
        return self._release_or_hold(self._acquire(job_id, hold, begin=True), hold)

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
            PhotoRejectedError: The key is not the stage's, or the picture is unusable.
            ObjectMissingError: The picture, or one that it was made of, is not there.
            NetworkError, RateLimitError: The photo could not be fetched now.
        """
        expected = job.key.object_key(stage, job.variant)
        if object_key != expected:
            raise PhotoRejectedError(
                f"s3Key: the {stage} of this job is stored as {expected}, and nowhere else."
            )
        if job.object_keys[stage] == expected and _is_past(job, stage):
            return job
        job = self._require_turn(job, stage, hold)
        if stage is Stage.MASK:
            self._take_original(job)
        taken, uploaded = self._take_picture(job, stage, facts)
        provider = facts.get("provider", EXTERNAL)
        if cost:
            self._ledger.spending.book(
                f"{expected}#{uploaded}",
                key=job.key,
                stage=stage,
                provider=provider,
                amount=cost,
                owner=EXTERNAL,
            )
        self._ledger.transitions.advance(
            job.id,
            JobStatus(SPECS[stage].status_after),
            stored=(stage, expected),
            step=Step(stage, EXTERNAL, 0.0, reused=True, cost=cost, provider=provider),
        )
        shown = taken.facts.shown() | {RECIPE: taken.recipe, "key": expected}
        self._report(job.key, stage, shown | {"cost_usd": float(cost)})
        return self._release_or_hold(self._ledger.jobs.require(job.id), hold)

    def published(self, job: Job, product_id: str, media_id: str) -> Job:
        """The composite stands on its product as that media.

        Raises:
            InvalidTransitionError: It is not yet time for that, or it stands there as another.
            ObjectMissingError: The composite is not there.
        """
        stage = Stage.SHOPIFY_MEDIA
        told = (product_id, media_id)
        if job.status is JobStatus.DONE and told == (job.product_id, job.media_id):
            return job
        job = self._require_turn(job, stage, 0)
        composite = described(self._require(job, Stage.COMPOSITE).info, CompositeFacts)
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
        self._ledger.transitions.advance(
            job.id, JobStatus.DONE, published=told, step=Step(stage, EXTERNAL, 0.0, reused=True)
        )
        self._report(photo, stage, {"product_id": product_id, "media_id": media_id})
        return self._release_or_hold(self._ledger.jobs.require(job.id), 0)

    def fail(self, job: Job, error: JobError) -> Job:
        """The orchestrator has failed; where trying again can help, the pipeline does.

        Raises:
            InvalidTransitionError: The orchestrator does not work on the job.
        """
        told = (error.code, error.message)
        if job.status is JobStatus.FAILED and told == (job.error_code, job.error_message):
            return job
        self._acquire(job.id, 0, begin=job.status is JobStatus.NEW)
        return self._release_or_hold(self._ledger.transitions.fail(job.id, error), 0)

    # --- whose turn it is ------------------------------------------------------------------

    def _require_turn(self, job: Job, stage: Stage, hold: int) -> Job:
        if job.status not in _ready(stage):
            allowed = [SPECS[each].route for each in SPECS if job.status in _ready(each)]
            raise InvalidTransitionError(
                f"Job {job.id} is {job.status}. Allowed now: "
                + ", ".join([*allowed, "fail"] if allowed else ["start"])
                + "."
            )
        return self._acquire(job.id, hold)

    def _acquire(self, job_id: str, hold: int, *, begin: bool = False) -> Job:
        # What is given back at once is leased, too, as long as this call lasts.
        lease = max(hold, self._settings.job_lease_seconds)
        name = job_lease(job_id)
        if not self._ledger.leases.take([name], EXTERNAL, lease_seconds=lease):
            raise InvalidTransitionError(
                f"The pipeline is at work on job {job_id}. Wait until it is done."
            )
        try:
            return self._ledger.transitions.take_external(job_id, begin=begin)
        except InvalidTransitionError:
            self._ledger.leases.release(EXTERNAL, [name])
            raise

    def _release_or_hold(self, job: Job, hold: int) -> Job:
        """Keep a job for as long as was asked for, or give it back."""
        name = job_lease(job.id)
        if hold and job.status not in AT_REST:
            self._ledger.leases.take([name], EXTERNAL, lease_seconds=hold)
            return job
        self._ledger.transitions.requeue([job.id], EXTERNAL)
        self._ledger.leases.release(EXTERNAL, [name])
        return self._ledger.jobs.require(job.id)

    # --- pictures --------------------------------------------------------------------------

    def _require(self, job: Job, stage: Stage) -> StoredObject:
        key = job.key.object_key(stage, job.variant)
        stored = self._store.get(key)
        if stored is None:
            raise _missing(key)
        return stored

    def _announced(self, job: Job) -> bytes:
        """The photo, from where it was announced."""
        if job.image_url is None:
            raise _missing(job.key.object_key(Stage.ORIGINAL))
        return self._fetch(job.image_url)

    def _take_original(self, job: Job) -> None:
        """See that the photo is the one that was announced, and say so of its object."""
        object_key = job.key.object_key(Stage.ORIGINAL)
        stored = self._store.get(object_key)
        original = None if stored is None else described(stored.info, OriginalFacts)
        if original is None:
            data = self._announced(job) if stored is None else stored.data
            facts = accept_original(data, job.key, self._settings)
            original = put_picture(
                self._store,
                object_key,
                data,
                content_type=facts.content_type,
                recipe=recipe(Stage.ORIGINAL, {}, {"sha256": job.key.sha256}),
                facts=facts,
            )
        if job.object_keys[Stage.ORIGINAL] is None:
            self._ledger.transitions.advance(
                job.id,
                JobStatus.SEGMENTING,
                stored=(Stage.ORIGINAL, object_key),
                step=Step(Stage.ORIGINAL, EXTERNAL, 0.0, reused=True),
            )
            shown = original.facts.shown() | {RECIPE: original.recipe, "key": original.key}
            self._report(job.key, Stage.ORIGINAL, shown)

    def _take_picture(
        self, job: Job, stage: Stage, told: Mapping[str, str]
    ) -> tuple[Artifact[PictureFacts], str]:
        """The stage's picture, described as the pipeline describes what it makes itself.

        Returns:
            With the SHA-256 of what was uploaded, which is what was paid for.
        """
        stored = self._require(job, stage)
        known = described(stored.info, PictureFacts)
        if known is not None:
            return known, stored.info.metadata.get(UPLOAD, known.digest)
        inputs = {each: self._require_picture(job, each) for each in SPECS[stage].made_of}
        limit = self._settings.image_max_pixels
        if stage is Stage.MASK:
            photo = inputs[Stage.ORIGINAL].facts.size
            cutout = _usable(lambda: accept_cutout(stored.data, photo, max_pixels=limit), stage)
            picture, facts = cutout.png, cutout.facts
        else:
            picture, facts = _usable(lambda: accept_jpeg(stored.data, max_pixels=limit), stage)
        uploaded = digest(stored.data)
        taken = put_picture(
            self._store,
            stored.info.key,
            picture,
            content_type=SPECS[stage].content_type,
            recipe=outside_recipe(
                stage, {each.value: made.digest for each, made in inputs.items()}
            ),
            facts=PictureFacts.model_validate({**told, **facts.shown()}),
            more={UPLOAD: uploaded},
        )
        return taken, uploaded

    def _require_picture(self, job: Job, stage: Stage) -> Artifact[PictureFacts]:
        made = described(self._require(job, stage).info, PictureFacts)
        if made is None:
            raise ObjectMissingError(
                f"The {stage} was replaced after it was told to be complete. Start again."
            )
        return made


def _missing(object_key: str) -> ObjectMissingError:
    return ObjectMissingError(
        f"There is no object {object_key}. Upload it with a URL of /start, and send this again."
    )


def _ready(stage: Stage) -> tuple[str, ...]:
    """In which statuses a stage can be told to be complete; the first one that can starts a job."""
    spec = SPECS[stage]
    if not spec.route:
        return ()
    return (JobStatus.QUEUED, spec.status) if stage is Stage.MASK else (spec.status,)


def _is_past(job: Job, stage: Stage) -> bool:
    return job.status in PATH and PATH.index(job.status) >= PATH.index(
        JobStatus(SPECS[stage].status_after)
    )


def _usable(accept: Callable[[], Taken], stage: Stage) -> Taken:
    try:
        return accept()
    except PhotoRejectedError:
        raise
    except JobError as error:
        raise PhotoRejectedError(f"The {stage} cannot be used: {error.message}") from error
