"""Runs the stages for the photos of one run: concurrency, leases, statuses, events and failures.

A stage is an asynchronous function about one photo; everything about many photos is here. Photos
flow on their own: while one waits for a provider, others are downloaded, composited, published.
One photo's failure never stops its neighbours.

The run holds the leases of its photos for as long as it lives, and as long as a thread of it works
on them. A photo that another run holds is waited for, and then finds everything done. What a run
does not finish because it is told to stop, or because only some stages were asked for, goes back to
be dispatched.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from photopipe_dagster.core.errors import (
    ConfigurationError,
    InvalidTransitionError,
    JobError,
    PhotopipeError,
)
from photopipe_dagster.core.logs import about
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.stages import SPECS, STAGES, Stage
from photopipe_dagster.ledger.database import UNAVAILABLE, unavailable
from photopipe_dagster.ledger.jobs.decisions import Evidence
from photopipe_dagster.ledger.jobs.leases import job_lease, run_lease
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.pipeline.photo import PhotoContext, StageResult
from photopipe_dagster.publishing.approval import Held
from photopipe_dagster.publishing.product_kind import kind_of
from photopipe_dagster.publishing.product_lookup import ProductLookup
from photopipe_dagster.quality.results import CheckResult, Verdict, measures_at
from photopipe_dagster.runtime.leases import LeaseHolder, LeaseLostError
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.runtime.slots import Slot
from photopipe_dagster.runtime.threads import PhotoThreads, threads_end_here
from photopipe_dagster.runtime.watchdog import Watchdog
from photopipe_dagster.storage.pictures import (
    Artifact,
    BackgroundFacts,
    CompositeFacts,
    CutoutFacts,
    OriginalFacts,
    PictureFacts,
    PublishedFacts,
)

_log = logging.getLogger(__name__)

Made = TypeVar("Made")

StageFunction = Callable[..., Awaitable[StageResult[Any] | Held]]
"""A stage: of a `PhotoContext` and the artifacts of the stages that it needs."""

_FACTS: Final[Mapping[Stage, type[PictureFacts]]] = {
    Stage.ORIGINAL: OriginalFacts,
    Stage.MASK: CutoutFacts,
    Stage.BACKGROUND: BackgroundFacts,
    Stage.COMPOSITE: CompositeFacts,
}
"""What is known of the stored picture of a stage that this run was not asked for."""


@dataclass(frozen=True, slots=True)
class StageDone:
    """A stage of a photo has ended well."""

    key: PhotoKey
    stage: Stage
    result: StageResult[Any]


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


_END: Final = object()

_MOST_OF_A_BATCH: Final = 100

Event = StageDone | PhotoFailed | PhotoHeld


async def whole_way(photo: PhotoRun) -> None:
    """Take a photo from where it was announced to the product in the shop.

    Each line is a stage and the artifacts that it needs. A stage that was not asked for is skipped,
    and its picture taken from the store. After a failure, after a check that a picture does not
    pass, or where a person decides first, the lines that are left do nothing.
    """
    original = await photo.through(Stage.ORIGINAL)
    await photo.ask_shop(before=Stage.MASK)  # what cannot be published is not paid for
    cutout = await photo.through(Stage.MASK, original)
    await photo.ask_shop(before=Stage.BACKGROUND)
    background = await photo.through(Stage.BACKGROUND, cutout)  # or held before one is bought
    await photo.ask_shop(before=Stage.COMPOSITE)  # what the product is decides how it looks
    composite = await photo.through(Stage.COMPOSITE, cutout, background)
    await photo.through(Stage.SHOPIFY_MEDIA, composite)  # held for a person, where one decides


class Pipeline:
    """Takes photos through stages.

    Args:
        open_services: Builds the services inside the pipeline's event loop.
        stages: The functions, by stage.
        owner: A name for this run that no other has; it holds leases and spends in that name.
        run_id: Dagster's run, for the job's record.
        ends_process: Whether the process is the run's own, and ends if it stands still for so long
            that another run takes its photos up.
    """

    def __init__(
        self,
        open_services: Callable[[], AbstractAsyncContextManager[Services]],
        stages: Mapping[Stage, StageFunction],
        *,
        owner: str,
        run_id: str,
        ends_process: bool = False,
    ) -> None:
        self._ends_process = ends_process
        self._open_services = open_services
        self._stages = stages
        self._owner = owner
        self._run_id = run_id

    def run(self, keys: Sequence[PhotoKey], stages: Sequence[Stage]) -> Iterator[Event]:
        """Take photos through stages, yielding each event as it happens; see `batches`."""
        for batch in self.batches(keys, stages, gather_seconds=0):
            yield from batch

    def batches(
        self, keys: Sequence[PhotoKey], stages: Sequence[Stage], *, gather_seconds: float
    ) -> Iterator[Sequence[Event]]:
        """Take photos through stages, yielding what happened since the last batch, in its order.

        The event loop lives in a thread of its own, so that the caller may take its time over a
        batch. If the caller stops early, photos under way are cancelled and handed back.

        Args:
            gather_seconds: How long the first event of a batch may wait for others.
        """
        events: queue.SimpleQueue[object] = queue.SimpleQueue()
        loop = asyncio.new_event_loop()
        loop.set_default_executor(PhotoThreads())
        wanted = tuple(stage for stage in STAGES if stage in stages)
        task = loop.create_task(self._all(tuple(keys), wanted, events.put))

        def work() -> None:
            try:
                loop.run_until_complete(task)
            except UNAVAILABLE as error:
                # Nothing can be written of any photo: the run ends, its photos are picked up again.
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
            ended = False
            while not ended:
                batch = _batch(events, gather_seconds)
                ended = batch[-1] is _END
                crashed = next((event for event in batch if isinstance(event, _Crashed)), None)
                happened = [event for event in batch if isinstance(event, Event)]
                if happened:
                    yield happened
                if crashed is not None:
                    raise crashed.error
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(task.cancel)
            thread.join()

    async def _all(
        self, keys: tuple[PhotoKey, ...], stages: tuple[Stage, ...], emit: Callable[[object], None]
    ) -> None:
        async with self._open_services() as services:
            lease = services.settings.job_lease_seconds
            watchdog = Watchdog(lease) if self._ends_process else None
            async with LeaseHolder(services.ledger.leases, self._owner, lease, watchdog) as leases:
                await leases.acquire_available(
                    [run_lease(self._run_id), *(job_lease(key.job_id) for key in keys)]
                )
                run = _Run(
                    self._stages,
                    stages,
                    services,
                    leases,
                    asyncio.Semaphore(services.settings.photos_in_flight),
                    self._owner,
                    self._run_id,
                    emit,
                )
                flows = {asyncio.create_task(run.photo(key)) for key in dict.fromkeys(keys)}
                try:
                    await asyncio.gather(*flows)
                finally:
                    for flow in flows:
                        flow.cancel()
                    await asyncio.gather(*flows, return_exceptions=True)


def _batch(events: queue.SimpleQueue[object], gather_seconds: float) -> list[object]:
    """The next of a queue, and those that follow it soon; the last may be the end."""
    batch = [events.get()]
    until = time.monotonic() + gather_seconds
    while batch[-1] is not _END and len(batch) < _MOST_OF_A_BATCH:
        try:
            batch.append(events.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            break
    return batch


@dataclass(frozen=True, slots=True)
class _Run:
    """What the photos of a run share.

    Args:
        functions: The stages' functions.
        stages: Those that were asked for, in order.
        slots: Photos that are worked on at once.
        emit: Takes events.
    """

    functions: Mapping[Stage, StageFunction]
    stages: tuple[Stage, ...]
    services: Services
    leases: LeaseHolder
    slots: asyncio.Semaphore
    owner: str
    run_id: str
    emit: Callable[[object], None]

    @property
    def publishes(self) -> bool:
        """Whether its photos go all the way to the shop."""
        return Stage.SHOPIFY_MEDIA in self.stages

    async def photo(self, key: PhotoKey) -> None:
        """Take one photo its way."""
        with about(key, run=self.run_id):
            try:
                await self._leased(key)
            except LeaseLostError:
                _log.warning("%s: lease lost, another run continues", key)
            except InvalidTransitionError as refused:
                _log.warning("%s skipped: %s", key, refused)

    async def _leased(self, key: PhotoKey) -> None:
        transitions = self.services.ledger.transitions
        # The lease first: a photo that waits for another run keeps no slot from its neighbours.
        async with (
            self.leases.hold(job_lease(key.job_id)),
            Slot(self.slots) as slot,
            threads_end_here(),
        ):
            job = await asyncio.to_thread(transitions.begin, key, self.run_id, again=self.publishes)
            product = ProductLookup(self.services, key.sku, released=slot.released)
            context = PhotoContext(key, job, self.owner, self.services, self.leases, slot, product)
            finished = False
            try:
                async with AsyncExitStack() as until_its_end:
                    photo = PhotoRun(self, context, until_its_end)
                    await whole_way(photo)
                finished = self.publishes and not photo.ended
            finally:
                self.services.cache.discard(key)
                if not finished:
                    # A FAILED or DONE job is not in progress: this leaves it as it is.
                    back = asyncio.to_thread(transitions.requeue, [job.id], self.run_id)
                    await asyncio.shield(back)


class PhotoRun:
    """One photo on its way through one run.

    Args:
        until_its_end: Closed when nothing more is done with it.
    """

    def __init__(self, run: _Run, context: PhotoContext, until_its_end: AsyncExitStack) -> None:
        self._run = run
        self._context = context
        self._until_its_end = until_its_end
        self._goes_alone = False
        self._transitions = context.services.ledger.transitions
        self._thumbnail: str | None = None
        self._artifacts: dict[Stage, Artifact[Any]] = {}
        self.ended = False
        """Whether it failed, or waits for a person: nothing more is done with it."""

    async def through(self, stage: Stage, *inputs: Artifact[Any] | None) -> Artifact[Any] | None:
        """Take the photo through a stage.

        Args:
            inputs: Of the stages that it needs, in the order of `StageSpec.inputs`.

        Returns:
            What the stage has made. Where it was not asked for: what is stored, if a stage that
            was asked for needs it.
        """
        if self.ended:
            return None
        artifact = await self._through(stage, inputs)
        if artifact is not None:
            self._artifacts[stage] = artifact
        return artifact

    async def _through(
        self, stage: Stage, inputs: Sequence[Artifact[Any] | None]
    ) -> Artifact[Any] | None:
        if stage in self._run.stages:
            return await self._attempt(stage, lambda: self._make(stage, inputs))
        needed_by = next((each for each in self._run.stages if stage in SPECS[each].inputs), None)
        if needed_by is None:
            return None
        pictures = self._context.pictures
        return await self._attempt(needed_by, lambda: pictures.require(stage, _FACTS[stage]))

    async def ask_shop(self, *, before: Stage) -> None:
        """See that a photo which is to be published can be, before a picture is paid for.

        It fails, unpaid, where the shop is down or refuses, and where no product has its SKU.
        Before a composite, which costs nothing, only its product is asked for, if it is unknown.
        """
        if self._run.publishes and before in self._run.stages and not self.ended:
            paid = before is not Stage.COMPOSITE
            ask = self._clear if paid else self._context.product.before_paying
            await self._attempt(Stage.SHOPIFY_MEDIA, ask)

    async def _clear(self) -> None:
        context, canary = self._context, self._context.services.canary
        if canary is not None and self._goes_alone:
            await canary.still_up()
        elif canary is not None:
            self._goes_alone = await canary.clear(
                self._until_its_end, context.leases, context.slot.released
            )
        await context.product.before_paying()

    async def _make(
        self, stage: Stage, inputs: Sequence[Artifact[Any] | None]
    ) -> Artifact[Any] | None:
        started = time.monotonic()
        result = await self._run.functions[stage](self._context, *inputs)
        if isinstance(result, Held):
            self.ended = True
            if (canary := self._context.services.canary) is not None:
                canary.person_decides()
            job_id = self._context.job.id
            await asyncio.to_thread(
                self._transitions.hold,
                job_id,
                result.reasons,
                result.digest,
                run_id=self._run.run_id,
                evidence=await self._evidence(),
            )
            self._run.emit(PhotoHeld(self._context.key, stage, result.reasons))
            return None
        self._thumbnail = result.thumbnail or self._thumbnail
        seconds = time.monotonic() - started
        result = replace(result, seconds=seconds, thumbnail=self._thumbnail)
        artifact, facts = result.artifact, result.artifact.facts
        await asyncio.to_thread(
            self._transitions.advance,
            self._context.job.id,
            JobStatus(SPECS[stage].status_after),
            run_id=self._run.run_id,
            stored=None if artifact.key is None else (stage, artifact.key),
            published=(facts.product_id, facts.media_id)
            if isinstance(facts, PublishedFacts)
            else None,
            step=Step(
                stage,
                self._run.run_id,
                result.seconds,
                reused=result.reused,
                cost=result.cost,
                provider=result.provider,
            ),
            checks=result.checks,
            theme_revision=self._run.services.themes.revision(self._context.key.theme)
            if stage is Stage.COMPOSITE
            else None,
        )
        self._run.emit(StageDone(self._context.key, stage, result))
        _log.info("%s %s", stage, "was there" if result.reused else "made")
        refusal = _refusal(stage, result.checks)
        if refusal is not None:
            await self._fail(stage, refusal, step=None)
        return artifact

    async def _evidence(self) -> Evidence:
        """What is known of the photo's pictures, for the decision of a person."""
        known = await self._context.product.current()
        made = {
            stage.value: {
                "recipe": artifact.recipe,
                "sha256": artifact.digest,
                "facts": artifact.facts.shown(),
            }
            for stage, artifact in self._artifacts.items()
        }
        return Evidence(None if known is None else kind_of(known), made)

    async def _attempt(self, stage: Stage, step: Callable[[], Awaitable[Made]]) -> Made | None:
        """Take a step of the photo's way; what goes wrong there is the stage's failure.

        Raises:
            InvalidTransitionError: The job is not this run's any more: it stood still for so long
                that it was taken for dead, or a person has stopped the job.
        """
        started = time.monotonic()
        try:
            return await step()
        except InvalidTransitionError:
            raise  # not a failure of the photo, which goes on elsewhere
        except Exception as error:
            failure = _as_job_error(error, self._context.key)
            failure.name_job(self._context.job.id)
            seconds = time.monotonic() - started
            await self._fail(
                stage, failure, Step(stage, self._run.run_id, seconds, error_code=failure.code)
            )
        return None

    async def _fail(self, stage: Stage, failure: JobError, step: Step | None) -> None:
        self.ended = True
        run_id = self._run.run_id
        job = await asyncio.to_thread(
            self._transitions.fail, self._context.job.id, failure, run_id=run_id, step=step
        )
        self._run.emit(PhotoFailed(self._context.key, stage, failure, job.retry_at is not None))


def _refusal(stage: Stage, checks: Sequence[CheckResult]) -> JobError | None:
    """Why a photo stops after a stage, if a check failed. Trying again would make the same."""
    failed = measures_at(checks, Verdict.FAIL)
    if not failed:
        return None
    return JobError(
        "Failed quality checks: " + " ".join(str(measure) for measure in failed),
        details={"kind": "quality", "checks": [measure.name for measure in failed]},
        code=SPECS[stage].bad_picture,
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
