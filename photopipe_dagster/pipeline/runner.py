"""Runs the stages for the photos of one run: concurrency, claims, statuses, events and failures.

A stage is an asynchronous function about one photo; everything about many photos is here. Photos
flow on their own: while one waits for a provider, others are downloaded, composited, published.
One photo's failure never stops its neighbours.

The run claims its photos for as long as it lives. A photo that another run holds is waited for,
and then finds everything done. What a run does not finish because it is told to stop, or because
only some stages were asked for, goes back to be dispatched.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Final

from photopipe_dagster.core.errors import (
    ConfigurationError,
    ErrorCode,
    HeldForReview,
    InvalidTransitionError,
    JobError,
    PhotopipeError,
)
from photopipe_dagster.core.logs import about
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.ledger.database import UNAVAILABLE, unavailable
from photopipe_dagster.ledger.jobs.leases import job_claim, run_claim
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.pipeline.work import StageFunction, StageOutcome, Work
from photopipe_dagster.publishing.product_lookup import product_before_paying
from photopipe_dagster.quality.results import CheckResult, Verdict, measures_at
from photopipe_dagster.runtime.leases import Claimant, LeaseLostError
from photopipe_dagster.runtime.picture_cache import PictureRoom
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.runtime.slots import Hand, Hands

_log = logging.getLogger(__name__)

_STATUS_AFTER: Final = {
    Stage.ORIGINAL: JobStatus.SEGMENTING,
    Stage.MASK: JobStatus.BG_GENERATING,
    Stage.BACKGROUND: JobStatus.COMPOSITING,
    Stage.COMPOSITE: JobStatus.SHOPIFY_PUSH,
    Stage.SHOPIFY_MEDIA: JobStatus.DONE,
}
"""The end of a stage is the beginning of the next: one write to the ledger a stage."""


_CODE_OF_BAD_PICTURE: Final = {
    Stage.ORIGINAL: ErrorCode.VALIDATION_ERROR,
    Stage.MASK: ErrorCode.SEGMENTATION_ERROR,
    Stage.BACKGROUND: ErrorCode.BACKGROUND_ERROR,
    Stage.COMPOSITE: ErrorCode.COMPOSITE_ERROR,
    Stage.SHOPIFY_MEDIA: ErrorCode.SHOPIFY_ERROR,
}


@dataclass(frozen=True, slots=True)
class StageDone:
    """A stage of a photo has ended well."""

    key: PhotoKey
    stage: Stage
    outcome: StageOutcome


@dataclass(frozen=True, slots=True)
class PhotoFailed:
    """A photo has failed, and its job with it."""

    key: PhotoKey
    stage: Stage
    error: JobError
    will_retry: bool


@dataclass(frozen=True, slots=True)
class PhotoHeld:
    """A photo waits for a person, who looks at it before it is published."""

    key: PhotoKey
    stage: Stage
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Crashed:
    error: BaseException


@dataclass(frozen=True, slots=True)
class _Crew:
    """What the photos of a run share: hands, and room for what they keep."""

    hands: Hands
    room: PictureRoom


_END: Final = object()

Event = StageDone | PhotoFailed | PhotoHeld


class Pipeline:
    """Takes photos through stages.

    Args:
        open_services: Builds the services inside the pipeline's event loop.
        stages: The functions, by stage.
        owner: A name for this run that no other has; claims and spending are made in it.
        run_id: Dagster's run, for the job's record.
    """

    def __init__(
        self,
        open_services: Callable[[], AbstractAsyncContextManager[Services]],
        stages: Mapping[Stage, StageFunction],
        *,
        owner: str,
        run_id: str,
    ) -> None:
        self._open_services = open_services
        self._stages = stages
        self._owner = owner
        self._run_id = run_id

    def run(self, keys: Sequence[PhotoKey], stages: Sequence[Stage]) -> Iterator[Event]:
        """Take photos through stages, yielding each event as it happens.

        The event loop lives in a thread of its own, so that the caller may take its time over an
        event. If the caller stops early, photos under way are cancelled and handed back.
        """
        events: queue.SimpleQueue[object] = queue.SimpleQueue()
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._all(tuple(keys), _ordered(stages), events.put))

        def work() -> None:
            try:
                loop.run_until_complete(task)
            except UNAVAILABLE as error:
                # Nothing can be written of any photo: the run ends, its photos are taken up anew.
                _log.exception("The ledger could not be used")
                events.put(_Crashed(unavailable(error)))
            except BaseException as error:
                events.put(_Crashed(error))
            finally:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()
                events.put(_END)

        thread = threading.Thread(target=work, name="photopipe-pipeline", daemon=True)
        thread.start()
        try:
            while (event := events.get()) is not _END:
                if isinstance(event, _Crashed):
                    raise event.error
                yield event  # type: ignore[misc]  # only events and the two marks are put
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(task.cancel)
            thread.join()

    async def _all(
        self, keys: tuple[PhotoKey, ...], stages: tuple[Stage, ...], emit: Callable[[object], None]
    ) -> None:
        async with self._open_services() as services:
            crew = _Crew(
                Hands(services.settings.photos_in_flight),
                PictureRoom(services.settings.pictures_kept_mb * 1_000_000),
            )
            lease = services.settings.job_lease_seconds
            async with Claimant(services.ledger.claims, self._owner, lease) as claimant:
                await claimant.take_free(
                    [run_claim(self._run_id), *(job_claim(key.job_id) for key in keys)]
                )
                flows = {
                    asyncio.create_task(self._photo(key, stages, services, crew, claimant, emit))
                    for key in dict.fromkeys(keys)
                }
                try:
                    await asyncio.gather(*flows)
                finally:
                    for flow in flows:
                        flow.cancel()
                    await asyncio.gather(*flows, return_exceptions=True)

    async def _photo(
        self,
        key: PhotoKey,
        stages: tuple[Stage, ...],
        services: Services,
        crew: _Crew,
        claimant: Claimant,
        emit: Callable[[object], None],
    ) -> None:
        with about(key, run=self._run_id):
            try:
                await self._claimed_photo(key, stages, services, crew, claimant, emit)
            except LeaseLostError:
                _log.warning("%s goes on in the run that took it over", key)
            except InvalidTransitionError as refused:
                _log.warning("%s is left alone: %s", key, refused)

    async def _claimed_photo(
        self,
        key: PhotoKey,
        stages: tuple[Stage, ...],
        services: Services,
        crew: _Crew,
        claimant: Claimant,
        emit: Callable[[object], None],
    ) -> None:
        publishes = Stage.SHOPIFY_MEDIA in stages
        jobs = services.ledger.jobs
        # A claim first: whoever waits for another run's photo keeps no hand from its own.
        async with claimant.hold(job_claim(key.job_id)), Hand(crew.hands) as hand:
            job = await asyncio.to_thread(jobs.begin, key, self._run_id, again=publishes)
            work = Work(key, job, self._owner, services, claimant, hand)
            finished = False
            try:
                finished = await self._stages_of(work, stages, crew.room, emit) and publishes
            finally:
                crew.room.leave(work)
                if not finished:
                    # A FAILED or DONE job is not in hand: this leaves it as it is.
                    await asyncio.shield(asyncio.to_thread(jobs.hand_back, [job.id], self._run_id))

    async def _stages_of(
        self,
        work: Work,
        stages: tuple[Stage, ...],
        room: PictureRoom,
        emit: Callable[[object], None],
    ) -> bool:
        jobs = work.services.ledger.jobs
        wanting = _wanting_the_product(stages)
        for stage in stages:
            started = time.monotonic()
            failing = stage
            try:
                if stage in wanting and work.product is None:
                    # What cannot be published fails for that, before its next stage is paid for.
                    failing = Stage.SHOPIFY_MEDIA
                    work.product = await product_before_paying(
                        work.services, work.key.sku, rests=work.hand.rests
                    )
                    failing, started = stage, time.monotonic()
                outcome = await self._stage(work, stage)
                room.settle(work)
            except HeldForReview as held:
                await asyncio.to_thread(jobs.hold, work.job.id, held.reasons, held.digest)
                emit(PhotoHeld(work.key, stage, held.reasons))
                return False
            except Exception as error:
                failure = _as_job_error(error, work.key)
                failure.name_job(work.job.id)
                step = Step(
                    failing, self._run_id, time.monotonic() - started, error_code=failure.code
                )
                job = await asyncio.to_thread(
                    jobs.fail, work.job.id, failure, run_id=self._run_id, step=step
                )
                emit(PhotoFailed(work.key, failing, failure, job.retry_at is not None))
                return False
            emit(StageDone(work.key, stage, outcome))
            _log.info("%s %s", stage, "was there" if outcome.reused else "made")
            refusal = _refusal(stage, outcome.checks)
            if refusal is not None:
                await asyncio.to_thread(jobs.fail, work.job.id, refusal, run_id=self._run_id)
                emit(PhotoFailed(work.key, stage, refusal, will_retry=False))
                return False
        return True

    async def _stage(self, work: Work, stage: Stage) -> StageOutcome:
        started = time.monotonic()
        outcome = await self._stages[stage](work)
        outcome = replace(outcome, seconds=time.monotonic() - started)
        published = stage is Stage.SHOPIFY_MEDIA
        await asyncio.to_thread(
            work.services.ledger.jobs.advance,
            work.job.id,
            _STATUS_AFTER[stage],
            stored=None if outcome.object_key is None else (stage, outcome.object_key),
            published=(outcome.facts["product_id"], outcome.facts["media_id"])
            if published
            else None,
            step=Step(
                stage,
                self._run_id,
                outcome.seconds,
                reused=outcome.reused,
                cost=outcome.cost,
                provider=outcome.provider,
            ),
            checks=outcome.checks,
        )
        work.outcomes[stage] = outcome
        return outcome


def _ordered(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    return tuple(stage for stage in STAGES if stage in stages)


def _wanting_the_product(stages: Sequence[Stage]) -> frozenset[Stage]:
    """Stages before which the product is asked for, if it is not known: where photos are published.

    The first one after the photo itself is stored, so that it is kept whatever the answer. And,
    where there was no answer then, the composite: what the product is decides how it looks.
    """
    if Stage.SHOPIFY_MEDIA not in stages:
        return frozenset()
    made = [stage for stage in stages if stage not in (Stage.ORIGINAL, Stage.SHOPIFY_MEDIA)]
    return frozenset({*made[:1], Stage.COMPOSITE}.intersection(made))


def _refusal(stage: Stage, checks: Sequence[CheckResult]) -> JobError | None:
    """Why a photo stops after a stage, if a check failed. Trying again would make the same."""
    failed = measures_at(checks, Verdict.FAIL)
    if not failed:
        return None
    return JobError(
        "Not good enough to publish: " + " ".join(str(measure) for measure in failed),
        details={"kind": "quality", "checks": [measure.name for measure in failed]},
        code=_CODE_OF_BAD_PICTURE[stage],
        retryable=False,
    )


def _as_job_error(error: Exception, key: PhotoKey) -> JobError:
    if isinstance(error, JobError):
        return error
    if isinstance(error, UNAVAILABLE):
        return unavailable(error)
    if isinstance(error, ConfigurationError):
        return JobError(str(error), details={"kind": "configuration"})
    if isinstance(error, PhotopipeError):
        return JobError(str(error), details={"kind": type(error).__name__})
    _log.error("Unexpected %s on %s", type(error).__name__, key, exc_info=error)
    return JobError(
        f"Something unexpected went wrong ({type(error).__name__}); the run's log has the details.",
        details={"kind": type(error).__name__},
        retryable=True,
    )
