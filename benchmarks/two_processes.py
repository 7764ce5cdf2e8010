"""Two processes take the same photos up at the same moment: is anything bought or published twice?

Each process runs the Dagster job over a range of partitions, on one DAGSTER_HOME, one ledger and
one store, with the simulators over HTTP: once both take the same partitions, once the same photos
in two themes, which share their cut-outs. The ledger is in SQLite and in Postgres (see
`photopipe_dagster_tests.support.postgres` for where that comes from).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.support.postgres import new_database, running_postgres
from photopipe_dagster_tests.support.processes import run_range, start
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

_TIMEOUT_SECONDS = 300

_SAME = ("default", "default")
_OTHER = ("default", "luxury")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What two processes made of the same photos.

    Args:
        failures: What a process said that did not end well.
        bought: How many of each product the provider has charged for.
        bill: USD that the provider has charged.
        ledger: USD that the ledger knows.
        seconds: From the moment both were told to go.
    """

    photos: int
    jobs: int
    failures: tuple[str, ...]
    statuses: Counter[JobStatus]
    bought: Counter[str]
    media: int
    bill: Decimal
    ledger: Decimal
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether each photo was bought, booked and published exactly once."""
        return (
            not self.failures
            and self.statuses == {JobStatus.DONE: self.jobs}
            and self.bought == {"remove_background": self.photos, "mystic": self.jobs}
            and self.media == self.jobs
            and self.bill == self.ledger
        )


def compete(shop: World, photos: int, themes: Sequence[str] = ("default", "default")) -> Outcome:
    """Let two processes take new photos up at once, and look what came of it.

    Args:
        themes: In which theme each process makes them.
    """
    shop.stock(*(f"SKU-{number}" for number in range(photos)))
    pictures = {f"SKU-{number}": photo_of_a_mug(number) for number in range(photos)}
    ranges = {
        theme: [shop.announce(sku, data, theme) for sku, data in pictures.items()]
        for theme in dict.fromkeys(themes)
    }
    keys = [key for theme in ranges for key in ranges[theme]]
    shop.instance.add_dynamic_partitions("photos", [key.partition_key for key in keys])
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / name for name in ("one", "two")]
        started = time.monotonic()
        workers = [
            start(log, run_range, ranges[theme][0].partition_key, ranges[theme][-1].partition_key)
            for theme, log in zip(themes, logs, strict=True)
        ]
        for worker in workers:
            worker.join(_TIMEOUT_SECONDS)
        seconds = time.monotonic() - started
        failures = []
        for worker, log in zip(workers, logs, strict=True):
            if worker.exitcode != 0:
                worker.kill()
                failures.append(log.read_text()[-4000:] or f"exit code {worker.exitcode}")
    return _outcome(shop, photos, keys, tuple(failures), seconds)


def _outcome(
    shop: World, photos: int, keys: Sequence[PhotoKey], failures: tuple[str, ...], seconds: float
) -> Outcome:
    charges = shop.sandbox.state.freepik.charges
    return Outcome(
        photos=photos,
        jobs=len(keys),
        failures=failures,
        statuses=Counter(shop.ledger.jobs.require(key.job_id).status for key in keys),
        bought=Counter(charge.operation for charge in charges),
        media=shop.media(),
        bill=sum((charge.usd for charge in charges), Decimal(0)),
        ledger=shop.ledger.spending.total(),
        seconds=seconds,
    )


def main() -> int:
    """Let two processes compete on each database, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="12 photos only")
    options = parser.parse_args()
    photos = 12 if options.quick else options.photos
    columns = ("Database", "Themes", "DONE", "Cut-outs", "Scenes", "Media", "Bill", "Booked")
    table = Table(*columns, "s", "Sound", box=box.SIMPLE)
    table.title = f"Two processes, the same {photos} photos, at once"
    outcomes = []
    for database, themes in product(("SQLite", "Postgres"), (_SAME, _OTHER)):
        outcomes.append(outcome := _compete_on(database, photos, themes))
        table.add_row(
            database,
            str(len(set(themes))),
            f"{outcome.statuses[JobStatus.DONE]}/{outcome.jobs}",
            str(outcome.bought["remove_background"]),
            str(outcome.bought["mystic"]),
            str(outcome.media),
            str(outcome.bill),
            str(outcome.ledger),
            f"{outcome.seconds:.0f}",
            "yes" if outcome.sound else "NO",
        )
    Console().print(table)
    for failure in (failure for outcome in outcomes for failure in outcome.failures):
        print(failure)
    return 0 if all(outcome.sound for outcome in outcomes) else 1


def _compete_on(database: str, photos: int, themes: Sequence[str]) -> Outcome:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        url = f"sqlite:///{folder}/ledger.db"
        if database == "Postgres":
            url = stack.enter_context(new_database(stack.enter_context(running_postgres())))
        shop = stack.enter_context(world(folder, patch, DATABASE_URL=url))
        return compete(shop, photos, themes)


if __name__ == "__main__":
    raise SystemExit(main())
