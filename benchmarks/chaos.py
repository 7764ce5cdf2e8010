"""Nothing is paid, published or lost twice when the system is killed, stopped or misled anywhere.

Each trial starts a worker over the simulators (which live in processes of their own, and survive),
gives it two photos, one of them in two themes, and kills it with SIGKILL: at a point that it passes
(see `chaos_worker`), or at any moment from outside. Or something else happens at the point: the
worker stands still for longer than its lease, and wakes while the next one is at work or after it;
the ledger's clock jumps; the API, or the door of the provider, is killed and started again. Then
fresh workers go on until all jobs are DONE: first what the sensor does, then the runs. At the end
the simulators' books are laid beside the ledger, the store and Dagster (see `chaos_books`).

The points are found by a run that nobody kills, so that a new request or a new write is covered
without being listed here.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import cycle, zip_longest
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import dagster as dg
import httpx
import yaml
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import select

from benchmarks.chaos_books import Verdict, compare, described
from benchmarks.chaos_worker import Clock, How, Kill, Order, passed, run
from benchmarks.sandbox import CHECKOUT, door, sandbox_environment, wait_for
from photopipe_dagster.core.photo import STAGES, PhotoKey, Stage
from photopipe_dagster.defs.sensors.dispatch import UNDELIVERED_AFTER_SECONDS
from photopipe_dagster.demo.environment import settings_of
from photopipe_dagster.demo.process_group import HOST
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.ledger.tables import spending
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.processes import STARTER
from photopipe_dagster_tests.support.world import photo_of_a_mug

THEMES: Final = (("A", "default"), ("A", "kitchen"), ("B", "default"))
"""Photos by name, and their themes."""

PHOTO_PIXELS: Final = 240
LEASE_SECONDS: Final = 120
MORE_THAN_A_LEASE: Final = LEASE_SECONDS + UNDELIVERED_AFTER_SECONDS + 20
"""What the ledger's clock moves from one worker to the next: leases of the dead one end."""

AWAY_SECONDS: Final = 900.0
"""A long absence: the addresses of cut-outs, which live for five minutes, are dead after it."""

SEARCH_LAG_SECONDS: Final = 0.6
"""How long Shopify's search does not show a new file: repairing has to live with it. The products
are older: photos ask for theirs at once."""

_PREPARING = threading.Lock()
"""Dagster makes its tables with Alembic, which keeps what it works on in globals: one at a time."""

JUMPS: Final = (3_600.0, -3_600.0, 86_400.0)
"""Seconds by which clocks are wrong."""

WORKERS_AT_MOST: Final = 10
WORKER_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What is done to one set of photos.

    Args:
        kind: Under which name it is counted.
        kills: How the first workers die, in turn: at a point, or so many seconds after their
            start, from outside.
        dagster: Whether runs go through Dagster's job.
        away: Whether a quarter of an hour passes before the next worker starts.
        wakes: Seconds after the start of the next worker at which a stopped one goes on.
    """

    kind: str
    kills: tuple[Kill | float, ...]
    dagster: bool = False
    away: bool = False
    wakes: float = 0.0

    @property
    def guesses(self) -> bool:
        """Whether it cannot be told beforehand which purchases become unknown."""
        return any(isinstance(kill, Kill) and kill.how not in _CERTAIN for kill in self.kills)


_CERTAIN: Final = frozenset({How.KILL, How.CLOCK})


@dataclass(slots=True)
class Result:
    """What came of a trial.

    Args:
        died: Where its workers died, or what else happened: a point, or what they had passed last.
        workers: How many were started in all.
        not_shown: Published photos whose media Dagster does not show as materialized.
        unfinished: Runs that Dagster believes to be alive.
        log: The end of what the workers of an unsound trial wrote.
    """

    trial: Trial
    died: list[str] = field(default_factory=list)
    workers: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    not_shown: int = 0
    unfinished: int = 0
    log: str = ""
    seconds: float = 0.0

    @property
    def place(self) -> str:
        """Where the first worker died."""
        if not self.died:
            return "not killed"
        first = self.trial.kills[0]
        return first.point.partition(":")[0] if isinstance(first, Kill) else "any moment"

    @property
    def moment(self) -> str:
        """When it died there."""
        first = self.trial.kills[0] if self.died else None
        return first.point.partition(": ")[2] if isinstance(first, Kill) else ""


class Shop:
    """Simulators, and a clean ledger and Dagster instance for each trial.

    Args:
        folder: For everything that trials leave.
        environment: As `sandbox_environment` made it.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._services = folder.parent
        self._environment = environment | {
            "JOB_RETRY_DELAY_SECONDS": "0",
            "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
            "PHOTOPIPE_ENV": "development",
        }
        self._sandbox = httpx.Client(base_url=environment["SANDBOX"], trust_env=False)
        self._store = object_store(settings_of(self._environment))
        self._clean = folder / "clean"
        self._prepare()
        self._trials = 0

    def close(self) -> None:
        """Close connections."""
        self._sandbox.close()

    def census(self, *, dagster: bool) -> Counter[str]:
        """The points that a worker passes which nobody kills, and how often."""
        folder, _ = self._set_up()
        keys = self._announce(folder)
        self._end(self._start(folder, None, dagster=dagster), None)
        with self._ledger(folder) as ledger:
            if ledger.jobs.stats().by_status[JobStatus.DONE] != len(keys):
                raise SystemExit(f"Without a kill the photos are not DONE: see {folder}/log.txt")
        return Counter(passed(folder))

    def attempt(self, trial: Trial) -> Result:
        """Carry a trial out and judge it."""
        started = time.monotonic()
        result = Result(trial)
        folder, _ = self._set_up()
        keys = self._announce(folder)
        in_the_air: dict[int, Stage] = {}
        asleep: ForkServerProcess | None = None
        hung = False
        with closing(Clock(folder)) as clock:
            while result.workers < WORKERS_AT_MOST and not hung:
                kill = trial.kills[result.workers] if result.workers < len(trial.kills) else None
                self._slow_down(kill)
                if result.workers:
                    # No wait is longer than that; a clock that went back has to catch up first.
                    late = max(0.0, -clock.ahead.total_seconds())
                    clock.move(late + MORE_THAN_A_LEASE)
                    self._wait_for_services()
                worker = self._start(folder, kill, dagster=trial.dagster)
                result.workers += 1
                beside_one = asleep is not None
                if asleep is not None:
                    worker.join(trial.wakes)
                    if (woken := _wake(asleep)) != 0:
                        result.verdict.wrong.append(f"a worker that woke ended with {woken}")
                asleep = None
                code = self._end(worker, kill)
                hung = code is None
                with self._ledger(folder) as ledger:
                    happened = _happened(kill, folder)
                    if code or happened:
                        result.died.append(happened or (passed(folder) or ["the start"])[-1])
                    if code == _STOPPED:
                        asleep = worker
                    elif beside_one and code and _locked_out(folder):
                        pass  # its tick failed; the next one finds the one that slept awake
                    elif code and code != -signal.SIGKILL:
                        result.verdict.wrong.append(f"a worker ended with {code}")
                    if code:
                        in_the_air |= _reserved(ledger)
                    elif ledger.jobs.count(JobQuery((JobStatus.DONE,))) == len(keys):
                        break
                if trial.away and code:
                    self._post("/clock", {"advance_seconds": AWAY_SECONDS})
            ahead = clock.ahead.total_seconds()
        self._judge(result, folder, keys, Counter(in_the_air.values()), ahead)
        if hung:
            result.verdict.wrong.append("a worker did not end by itself")
        result.seconds = time.monotonic() - started
        return result

    def _judge(
        self,
        result: Result,
        folder: Path,
        keys: Sequence[PhotoKey],
        in_the_air: Counter[Stage],
        ahead: float,
    ) -> None:
        with self._ledger(folder) as ledger:
            found = compare(
                self._sandbox,
                ledger,
                self._store,
                keys,
                in_the_air=None if result.trial.guesses else in_the_air,
                allow_discarded=result.trial.away or result.trial.guesses,
                clock_ahead=ahead,
            )
        found.wrong += result.verdict.wrong
        result.verdict = found
        if result.trial.dagster:
            with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
                shown = instance.get_materialized_partitions(dg.AssetKey(STAGES[-1].value))
                result.not_shown = len({key.partition_key for key in keys} - shown)
                result.unfinished = sum(not one.is_finished for one in instance.get_runs())
            if result.not_shown or result.unfinished:
                found.wrong.append(
                    f"Dagster does not show {result.not_shown} media and believes "
                    f"{result.unfinished} runs to be alive"
                )
        if not found.sound and (folder / "log.txt").exists():
            result.log = (folder / "log.txt").read_text()[-3000:]
        shutil.rmtree(folder)

    # --- setting up ----------------------------------------------------------------------

    def _prepare(self) -> None:
        """A migrated ledger and a Dagster instance, to be copied for each trial."""
        home = self._clean / "dagster"
        home.mkdir(parents=True)
        _configure_dagster(home)
        # Ours and Dagster's: Alembic knows one migration a process at a time.
        with _PREPARING, closing(Ledger(f"sqlite:///{self._clean / 'ledger.db'}")) as ledger:
            ledger.database.migrate()
        with _PREPARING, dg.DagsterInstance.from_config(str(home)) as instance:
            instance.get_runs(limit=1)
            instance.get_dynamic_partitions("photos")
            instance.all_asset_keys()

    def _set_up(self) -> tuple[Path, int]:
        self._trials += 1
        folder = self._folder / f"trial-{self._trials}"
        shutil.copytree(self._clean, folder)
        _configure_dagster(folder / "dagster")
        self._post("/reset")
        self._post("/latency", {"shopify.search_index": SEARCH_LAG_SECONDS})
        return folder, self._trials

    def _announce(self, folder: Path) -> list[PhotoKey]:
        """Photos in 3JMS, products in the shop, and the jobs that a webhook would have made."""
        keys: list[PhotoKey] = []
        with self._ledger(folder) as ledger:
            for number, (name, theme) in enumerate(THEMES):
                sku = f"T{self._trials}-{name}"
                data = photo_of_a_mug(self._trials * 10 + ord(name), PHOTO_PIXELS)
                if sku not in {key.sku for key in keys}:
                    self._post("/shopify/products", {"title": sku, "skus": [sku]})
                    self._post("/clock", {"advance_seconds": SEARCH_LAG_SECONDS})
                files = {"file": (f"{number}.jpg", data, "image/jpeg")}
                answer = self._sandbox.post(
                    "/_sandbox/threejms/photos", data={"sku": sku}, files=files
                )
                photo = answer.raise_for_status().json()
                keys.append(PhotoKey(sku, photo["sha256"], theme))
                ledger.intake.submit(keys[-1], "webhook", image_url=photo["url"])
        return keys

    def _slow_down(self, kill: Kill | float | None) -> None:
        """Make a simulator do its work, and say nothing, while its caller dies."""
        if isinstance(kill, Kill) and kill.point.endswith(": during"):
            fault = {
                "match": kill.point.partition(":")[0],
                "kind": "timeout_after",
                "skip": kill.occurrence - 1,
                "seconds": 0.5,
            }
            self._post("/faults", fault)

    def _wait_for_services(self) -> None:
        """In the time by which the clock has moved, they are up again."""
        wait_for(f"http://{HOST}:{self._environment['PORT']}/health/live")
        wait_for(self._environment["FREEPIK_API_URL"].removesuffix("freepik") + "_sandbox/state")

    def _post(self, path: str, body: Any = None) -> None:
        self._sandbox.post(f"/_sandbox{path}", json=body).raise_for_status()

    @contextmanager
    def _ledger(self, folder: Path) -> Iterator[Ledger]:
        with closing(Ledger(f"sqlite:///{folder / 'ledger.db'}")) as ledger:
            yield ledger

    # --- one worker ----------------------------------------------------------------------

    def _start(
        self, folder: Path, kill: Kill | float | None, *, dagster: bool
    ) -> ForkServerProcess:
        order = Order(
            folder=folder,
            environment=self._environment
            | {
                "DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
                "DAGSTER_HOME": str(folder / "dagster"),
            },
            services=self._services,
            dagster=dagster,
            kill=kill if isinstance(kill, Kill) else None,
        )
        worker = STARTER.Process(target=run, args=(order,), daemon=True)
        worker.start()
        return worker

    def _end(self, worker: ForkServerProcess, kill: Kill | float | None) -> int | None:
        """Wait for a worker's end; returns its exit code, ``None`` if it hung."""
        until = time.monotonic() + (kill if isinstance(kill, float) else WORKER_SECONDS)
        while worker.exitcode is None and time.monotonic() < until:
            worker.join(0.02)
            if _stands_still(worker):
                return _STOPPED
        still_there = worker.exitcode is None
        if still_there and worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
        return None if still_there and not isinstance(kill, float) else worker.exitcode


_STOPPED: Final = int(signal.SIGSTOP)


def _stands_still(worker: ForkServerProcess) -> bool:
    try:
        state = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "T"


def _wake(worker: ForkServerProcess) -> int | None:
    """Let a stopped worker go on; returns its exit code, ``None`` if it did not end."""
    if worker.pid is not None:
        os.kill(worker.pid, signal.SIGCONT)
    worker.join(WORKER_SECONDS)
    code = worker.exitcode
    if code is None:
        worker.kill()
    return code


def _locked_out(folder: Path) -> bool:
    """Whether a worker gave up because one that stands still has SQLite's lock."""
    return "database is locked" in (folder / "log.txt").read_text()


def _happened(kill: Kill | float | None, folder: Path) -> str | None:
    """The point at which something happened to a worker that may have gone on."""
    if not isinstance(kill, Kill) or kill.how is How.KILL:
        return None
    return kill.point if passed(folder).count(kill.point) >= kill.occurrence else None


def _configure_dagster(home: Path) -> None:
    """The project's configuration, for an instance that DAGSTER_HOME does not name."""
    config = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text())
    config["storage"]["custom"]["config"]["base_dir"] = str(home)
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))


def _reserved(ledger: Ledger) -> dict[int, Stage]:
    """Purchases that are in the air: reserved, and no reference kept."""
    query = select(spending.c.id, spending.c.stage)
    rows = ledger.database.all(query.where(spending.c.state == SpendState.RESERVED))
    return {row.id: Stage(row.stage) for row in rows}


# --- what is tried ---------------------------------------------------------------------------


def plan(
    points: Counter[str], dagster_points: Counter[str], trials: int, dice: random.Random
) -> list[Trial]:
    """Trials: the greater part at points, the rest through Dagster, from outside, twice, and away.

    Args:
        points: What a worker without Dagster passes, and how often.
        dagster_points: The same with Dagster.
        trials: How many in all.
    """
    share = trials // 24
    outside = share * 2
    purchases = Counter({name: count for name, count in points.items() if _of_a_purchase(name)})
    calls = Counter({name: count for name, count in points.items() if name.startswith("freepik.")})
    # Who stands still within a transaction keeps SQLite's lock, and nobody gets on meanwhile.
    outside_transactions = Counter(
        {name: count for name, count in points.items() if not name.startswith("database commit")}
    )
    dead = list(_turns(points, dice))
    stopped = list(_first(_turns(outside_transactions, dice), share * 4))
    planned = [
        *(
            Trial("in Dagster", (kill,), dagster=True)
            for kill in _first(_turns(dagster_points, dice), share * 3)
        ),
        *(Trial("from outside", (dice.uniform(0.05, 1.2),)) for _ in range(outside)),
        *(
            Trial("twice", (dice.choice(dead), dice.choice((dice.choice(dead), dice.random()))))
            for _ in range(share)
        ),
        *(Trial("and away", (kill,), away=True) for kill in _first(_turns(purchases, dice), share)),
        *(
            Trial(
                "stood still",
                (replace(kill, how=How.STOP),),
                dagster=number % 4 == 0,
                wakes=dice.choice((dice.uniform(0.0, 1.5), WORKER_SECONDS)),
            )
            for number, kill in enumerate(stopped)
        ),
        *(
            Trial("clock jumped", (replace(kill, how=How.CLOCK, seconds=seconds),))
            for kill, seconds in zip(
                _first(_turns(points, dice), share * 3), cycle(JUMPS), strict=False
            )
        ),
        *(
            Trial(f"{how} killed", (replace(kill, how=how),))
            for kill, how in zip(
                _first(_turns(calls, dice), share * 2), cycle((How.API, How.PROVIDER)), strict=False
            )
        ),
    ]
    rest = trials - len(planned)
    return [*(Trial("at a point", (kill,)) for kill in _first(iter(dead), rest)), *planned]


def _of_a_purchase(point: str) -> bool:
    return point.startswith(("freepik.", "ledger submitted", "ledger settle"))


def _turns(points: Counter[str], dice: random.Random) -> Iterator[Kill]:
    """Each point once, in any order, then each for another time that it is passed, and so on."""
    times: list[list[Kill]] = []
    for name, count in points.items():
        occurrences = list(range(2, count + 1))
        dice.shuffle(occurrences)
        times.append([Kill(name, number) for number in (1, *occurrences)])
    dice.shuffle(times)
    for turn in zip_longest(*times):
        yield from (kill for kill in turn if kill is not None)


def _first(kills: Iterator[Kill], number: int) -> list[Kill]:
    return [kill for _, kill in zip(range(number), kills, strict=False)]


# --- what is shown ---------------------------------------------------------------------------


def show(results: Sequence[Result], console: Console) -> None:
    """Print what came of the trials, by the place of the kill and by kind."""
    places = {place: place for place in sorted({one.place for one in results})}
    table = _table(f"{len(results)} trials, by where the first worker was killed")
    for place in places:
        group = [one for one in results if one.place == place]
        moments = Counter(one.moment for one in group if one.moment)
        told = ", ".join(f"{name} {count}" for name, count in sorted(moments.items()))
        table.add_row(place, told, *_figures(group))
    table.add_section()
    for kind in dict.fromkeys(one.trial.kind for one in results):
        table.add_row(kind, "", *_figures([one for one in results if one.trial.kind == kind]))
    table.add_section()
    table.add_row("all", "", *_figures(results), style="bold")
    console.print(table)
    distinct = {point for one in results if one.died for point in one.trial.kills[:1]}
    names = {kill.point for kill in distinct if isinstance(kill, Kill)}
    console.print(
        f"{len(names)} kinds of points, {len(distinct)} different kills. Results paid and lost "
        f"because nobody came for a quarter of an hour: {_sum(results, 'discarded')}. "
        f"Published but not shown as materialized by Dagster: "
        f"{sum(one.not_shown for one in results)}; "
        f"runs that Dagster believes to be alive: {sum(one.unfinished for one in results)}."
    )
    for one in results:
        if not one.verdict.sound:
            console.print(f"[red]{one.trial} died at {one.died}:[/] {described(one.verdict)}")
            console.print(one.log, markup=False)


def _table(title: str) -> Table:
    table = Table("Place", "Moments", title=title)
    for name in (
        "Trials",
        "Kills",
        "Recovered",
        "Unknown",
        "of them paid",
        "Double charges",
        "Duplicates",
        "Lost",
        "Bill USD",
        "Ledger counts",
        "Ledger resolved",
    ):
        table.add_column(name, justify="right")
    return table


def _figures(group: Sequence[Result]) -> Iterable[str]:
    counted: list[int | Decimal] = [
        len(group),
        sum(len(one.died) for one in group),
        sum(one.verdict.sound for one in group),
        *(_sum(group, name) for name in ("unknown", "unknown_paid")),
        *(_sum(group, name) for name in ("double_charges", "duplicates", "lost")),
        *(_sum(group, name) for name in ("bill", "counted", "resolved")),
    ]
    return map(str, counted)


def _sum(group: Sequence[Result], name: str) -> int | Decimal:
    total: int | Decimal = sum(getattr(one.verdict, name) for one in group)
    return total


@contextmanager
def shop() -> Iterator[Shop]:
    """A shop with simulators of its own, gone at the end."""
    with (
        tempfile.TemporaryDirectory() as name,
        sandbox_environment(folder := Path(name)) as environment,
        door(folder, How.PROVIDER, urlsplit(environment["SANDBOX"]).port or 0) as port,
    ):
        hosts = f"{environment['IMAGE_URL_ALLOWED_HOSTS']},{HOST}:{port}"
        behind = {
            "FREEPIK_API_URL": f"http://{HOST}:{port}/freepik",
            "IMAGE_URL_ALLOWED_HOSTS": hosts,
        }
        with closing(Shop(folder / "trials", environment | behind)) as opened:
            yield opened


def main() -> int:
    """Find the points, kill, judge, and print; returns 1 if anything was not as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=252)
    parser.add_argument("--quick", action="store_true", help="48 trials only")
    parser.add_argument("--lanes", type=int, default=2, help="Trials side by side.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", help="Only those: 'stood still', 'clock jumped', …")
    options = parser.parse_args()
    trials = 48 if options.quick else options.trials
    console = Console()
    with shop() as first:
        points, dagster_points = first.census(dagster=False), first.census(dagster=True)
    planned = plan(points, dagster_points, trials, random.Random(options.seed))
    planned = [one for one in planned if not options.kinds or one.kind in options.kinds]
    with Progress(console=console) as progress:
        bar = progress.add_task("Killing", total=len(planned))

        def lane(number: int) -> list[Result]:
            done = []
            with shop() as mine:
                for trial in planned[number :: options.lanes]:
                    done.append(mine.attempt(trial))
                    progress.advance(bar)
                    if not done[-1].verdict.sound:
                        progress.console.print(f"[red]{trial}:[/] {described(done[-1].verdict)}")
            return done

        with ThreadPoolExecutor(options.lanes) as pool:
            results = [one for done in pool.map(lane, range(options.lanes)) for one in done]
    show(results, console)
    return 0 if all(one.verdict.sound for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
