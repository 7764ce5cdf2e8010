"""What the demo does once everything runs: photos in, pictures out, and all of it again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.core.stages import STORED, Stage
from photopipe_dagster.demo import terminal
from photopipe_dagster.demo.photos import DemoPhoto
from photopipe_dagster.demo.process_group import Stack
from photopipe_dagster.demo.sandbox_client import SandboxClient
from photopipe_dagster.demo.seed import push_webhooks, seed_sandbox
from photopipe_dagster.demo.verification import DemoCheck, Evidence, first_round, second_round
from photopipe_dagster.imaging.contact_sheet import SheetRow, contact_sheet
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job, can_retry
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.runtime.providers import remote_jobs
from photopipe_dagster.sources.threejms.plugin import POLLING
from photopipe_dagster.storage.base import ObjectStore

if TYPE_CHECKING:
    from photopipe_dagster.demo.dagster_client import DagsterClient

JOBS_SECONDS: Final = 240.0
"""How long no photo may get any further."""

AGAIN_SECONDS: Final = 120.0
"""How long sending everything again may take."""

_LOOK_SECONDS: Final = 0.3
_ALL: Final = 1000
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class DemoError(PhotopipeError):
    """The demo did not get to its end; the message says how far it got."""


@dataclass(frozen=True, slots=True)
class World:
    """What runs, and what it keeps.

    Args:
        dagster_url: Base URL of Dagster's web server, which may still be starting.
        sheet: Where the contact sheet goes.
        ask_dagster: Makes a client of Dagster for a base URL.
    """

    settings: Settings
    ledger: Ledger
    store: ObjectStore
    stack: Stack
    sandbox_client: SandboxClient
    dagster_url: str
    sheet: Path
    ask_dagster: Callable[[str], DagsterClient]


class Demonstration:
    """The demo, step by step.

    Every photo comes twice: by webhook, in a theme that suits it, and by poll, in the default
    theme. So half of the jobs come by either way, and each cut-out is needed for two pictures.

    Args:
        sleep: Waits so many seconds.
        clock: Seconds of a monotonic clock.
    """

    def __init__(
        self,
        world: World,
        photos: Sequence[DemoPhoto],
        console: Console,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world = world
        self._photos = photos
        self._console = console
        self._sleep = sleep
        self._clock = clock
        self._ids: dict[str, str] = {}

    def run(self) -> bool:
        """Show everything; returns whether all of it held.

        Raises:
            PhotopipeError: It could not be shown to the end.
        """
        self._fill_shelves()
        self._push()
        self._wait_for_dagster()
        self._wait_for_jobs()
        before = self._evidence()
        self._console.print(terminal.results_table(before.jobs))
        findings = first_round(
            before, jobs_expected=self._jobs_expected, paid=remote_jobs(self._world.settings)
        )
        self._show(findings)
        self._draw_sheet(before.jobs)
        self._say("Now all of it again: the same webhooks, the same poll, every partition again.")
        self._again(before)
        again = second_round(before, self._evidence())
        self._show(again)
        held = all(finding.ok for finding in (*findings, *again))
        self._console.print(
            "Everything held: nothing was paid or published twice." if held else "That is wrong.",
            style="bold green" if held else "bold red",
        )
        return held

    @property
    def _jobs_expected(self) -> int:
        return 2 * len(self._photos)

    # --- photos in -----------------------------------------------------------------------

    def _fill_shelves(self) -> None:
        self._ids = seed_sandbox(self._world.sandbox_client, self._photos)
        self._say(f"{len(self._photos)} photos are in 3JMS, their products in the shop.")

    def _push(self) -> None:
        statuses = push_webhooks(
            self._world.sandbox_client, self._photos, self._ids, self._world.settings.base_url
        )
        refused = [status for status in statuses if status not in (200, 201)]
        if refused:
            raise DemoError(
                f"{len(refused)} of {len(statuses)} webhooks were answered with {refused[0]}; see "
                "the log of the API."
            )
        self._say(
            f"{len(statuses)} signed webhooks pushed: {statuses.count(201)} new, "
            f"{statuses.count(200)} known."
        )

    def _wait_for_dagster(self) -> None:
        with self._console.status("Waiting for Dagster …"):
            self._world.stack.wait_until_ready()
        self._say(f"Dagster is up, for as long as this runs: {self._world.dagster_url}")

    # --- pictures out --------------------------------------------------------------------

    def _jobs(self) -> list[Job]:
        return self._world.ledger.jobs.find(JobQuery(), limit=_ALL)

    def _wait_for_jobs(self) -> None:
        jobs: list[Job] = []

        def progress() -> object:
            return {(job.id, job.status, job.updated_at) for job in jobs}

        with Live(console=self._console, refresh_per_second=4, transient=True) as live:

            def finished() -> bool:
                nonlocal jobs
                jobs = self._jobs()
                live.update(terminal.progress_view(jobs, self._jobs_expected))
                if any(can_retry(job) and job.retry_at is None for job in jobs):
                    raise DemoError(self._unfinished("Photos failed for good."))
                done = sum(job.status is JobStatus.DONE for job in jobs)
                return done == len(jobs) == self._jobs_expected

            if not self._wait(finished, JOBS_SECONDS, progress):
                raise DemoError(
                    self._unfinished(
                        f"Not all photos are done; none got any further in {JOBS_SECONDS:.0f} s."
                    )
                )

    def _unfinished(self, what: str) -> str:
        return "\n  ".join([what, *terminal.failures_of(self._jobs())])

    def _draw_sheet(self, jobs: Sequence[Job]) -> None:
        rows = []
        for job in terminal.in_order(jobs):
            files = (self._picture(job, stage) for stage in STORED)
            rows.append(SheetRow(f"{job.key.sku} · {job.key.theme}", *files))
        self._world.sheet.write_bytes(contact_sheet(rows))
        objects = self._world.settings.data_dir / "objects"
        self._say(f"Pictures: {objects / 'composites'}")
        self._say(f"All of them at once: {self._world.sheet}")

    def _picture(self, job: Job, stage: Stage) -> bytes:
        found = self._world.store.get(job.key.object_key(stage))
        return b"" if found is None else found.data

    # --- and again -----------------------------------------------------------------------

    def _again(self, before: Evidence) -> None:
        self._push()
        self._world.ledger.watermarks.set(POLLING.watermark, _LONG_AGO.isoformat())
        with self._world.ask_dagster(self._world.dagster_url) as dagster:
            partitions = len(dagster.partitions())
            run = dagster.materialize_all()
            self._say(f"Dagster materializes all {partitions} partitions once more.")
            with self._console.status("Waiting for the poll and for the run …"):
                polled = self._wait(
                    lambda: (
                        self._world.sandbox_client.records().polls > before.records.polls
                        and self._world.ledger.watermarks.get(POLLING.watermark)
                        != _LONG_AGO.isoformat()
                    ),
                    AGAIN_SECONDS,
                )
                ended = self._wait(lambda: dagster.has_ended(run), AGAIN_SECONDS)
            status = dagster.run_status(run)
        if not polled:
            raise DemoError("3JMS was not polled again; see the log of Dagster.")
        if not ended or status != "SUCCESS":
            raise DemoError(f"Dagster's run {run} over all partitions is {status}; see its log.")

    def _evidence(self) -> Evidence:
        return Evidence(
            jobs=self._jobs(),
            spent_usd=self._world.ledger.spending.total(),
            pictures={info.key: info.modified for info in self._world.store.list("")},
            records=self._world.sandbox_client.records(),
        )

    # --- telling -------------------------------------------------------------------------

    def _wait(
        self,
        reached: Callable[[], bool],
        seconds: float,
        progress: Callable[[], object] = lambda: None,
    ) -> bool:
        """Whether it was reached before so many seconds passed without any progress."""
        deadline, last = self._clock() + seconds, progress()
        while not reached():
            self._world.stack.check()
            if (now := progress()) != last:
                deadline, last = self._clock() + seconds, now
            if self._clock() > deadline:
                return False
            self._sleep(_LOOK_SECONDS)
        return True

    def _show(self, findings: Sequence[DemoCheck]) -> None:
        for finding in findings:
            self._console.print(terminal.check_line(finding), soft_wrap=True)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)
