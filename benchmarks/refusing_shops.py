"""What is bought for a shop that refuses, and whether all goes on when it is fixed.

    python -m benchmarks.refusing_shops                 60 photos for each of the kinds
    python -m benchmarks.refusing_shops --photos 12     a short form

Each kind of refusal is tried twice: in a shop that has not taken a picture yet, and in one that has
just taken one. The sensor's ticks and the runs are real, over the simulators and HTTP. Where a tick
finds nothing to do, the ledger's clock moves five minutes. After a quarter of an hour the shop is
fixed, and the ticks go on until nothing is left to do. Nobody retries anything by hand.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster_tests.support.dispatching import move_clock, run, tick
from photopipe_dagster_tests.support.world import World, photo_of_a_mug, world

MINUTES_OF_REFUSAL: Final = 15
MINUTES_TO_MEND_AT_MOST: Final = 6 * 60
MINUTES_A_STEP: Final = 5
PHOTO_USD: Final = Decimal("0.07")
"""One cut-out and one background, as the simulator charges them."""

ANY_CALL: Final = "shopify.graphql"
LOOK_UP: Final = "shopify.productVariants"
UPLOAD: Final = "shopify.stagedUploadsCreate"
FILE: Final = "shopify.fileCreate"
ATTACH: Final = "shopify.fileUpdate"

PASSING: Final = "execution error of the file"

FAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "401": {"match": ANY_CALL, "kind": "status", "status": 401},
    "402": {"match": ANY_CALL, "kind": "status", "status": 402},
    "403": {"match": ANY_CALL, "kind": "status", "status": 403},
    "404": {"match": ANY_CALL, "kind": "status", "status": 404},
    "423": {"match": ANY_CALL, "kind": "status", "status": 423},
    "a web page": {"match": ANY_CALL, "kind": "html"},
    "SHOP_INACTIVE": {"match": ANY_CALL, "kind": "graphql_error", "code": "SHOP_INACTIVE"},
    "execution error": {"match": LOOK_UP, "kind": "graphql_error", "code": "INTERNAL_SERVER_ERROR"},
    PASSING: {
        "match": FILE,
        "kind": "graphql_error",
        "code": "INTERNAL_SERVER_ERROR",
    },
    "ACCESS_DENIED of the look-up": {
        "match": LOOK_UP,
        "kind": "graphql_error",
        "code": "ACCESS_DENIED",
    },
    "ACCESS_DENIED of the upload": {
        "match": UPLOAD,
        "kind": "graphql_error",
        "code": "ACCESS_DENIED",
    },
    "ACCESS_DENIED of the file": {"match": FILE, "kind": "graphql_error", "code": "ACCESS_DENIED"},
    "ACCESS_DENIED of attaching": {
        "match": ATTACH,
        "kind": "graphql_error",
        "code": "ACCESS_DENIED",
    },
}
NO_WRITE_FILES: Final = "no write_files"
KINDS: Final = (*FAULTS, NO_WRITE_FILES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one kind.

    Args:
        allowed: Photos that may have been bought: the first one; as many as open the breaker, where
            the trouble may pass; or what was in flight in a shop that had just taken a picture.
        bought: Photos that were paid for, in full or in part, while the shop refused.
        spent: USD that was charged meanwhile.
        done: Photos that were DONE at the end.
        bill: USD that was charged in all.
        media: How many stand in the shop at the end.
        minutes: From the fixing until all were done, by the ledger's clock.
    """

    photos: int
    allowed: int
    bought: int
    spent: Decimal
    done: int
    bill: Decimal
    media: int
    minutes: int

    @property
    def sound(self) -> bool:
        """Whether all are done without a hand, and each was paid and published once."""
        return (
            self.done == self.photos == self.media
            and self.bill == self.photos * PHOTO_USD
            and self.bought <= self.allowed
        )


def attempt(shop: World, kind: str, photos: int, *, warm: bool) -> Outcome:
    """Let a shop refuse, fix it, and see what was bought and what is done.

    Args:
        warm: Whether the shop has taken a picture just before.
    """
    go = _ticks(shop)
    _announce(shop, range(int(warm)))
    while warm and go():
        pass
    before = _bill(shop)
    fix = _break(shop, kind)
    _announce(shop, range(int(warm), photos))
    for _ in range(0, MINUTES_OF_REFUSAL, MINUTES_A_STEP):
        while go():
            pass
        move_clock(shop.ledger, 60 * MINUTES_A_STEP)
    spent = _bill(shop) - before
    bought = len({spend.job_id for spend in _spends(shop)}) - int(warm)
    fix()
    minutes = 0
    while _done(shop) < photos and minutes < MINUTES_TO_MEND_AT_MOST:
        if not go():
            move_clock(shop.ledger, 60 * MINUTES_A_STEP)
            minutes += MINUTES_A_STEP
    allowed = shop.settings.breaker_failures if kind == PASSING else 1
    if warm:
        allowed = shop.settings.photos_in_flight
    return Outcome(photos, allowed, bought, spent, _done(shop), _bill(shop), shop.media(), minutes)


def _ticks(shop: World) -> Callable[[], int]:
    def go() -> int:
        requests = tick(shop.instance, PhotopipeResource())
        for request in requests:
            run(shop.instance, request)
        return len(requests)

    return go


def _announce(shop: World, numbers: range) -> None:
    for number in numbers:
        shop.stock(f"P{number}")
        shop.announce(f"P{number}", photo_of_a_mug(number))


def _break(shop: World, kind: str) -> Callable[[], object]:
    """Make the shop refuse; returns what fixes it."""
    if kind != NO_WRITE_FILES:
        shop.sandbox.state.faults.add(Fault(**FAULTS[kind], times=None))
        return shop.sandbox.state.faults.clear
    scopes = shop.sandbox.state.shopify.scopes
    scopes.discard("write_files")
    return lambda: scopes.add("write_files")


def _spends(shop: World) -> list[Any]:
    jobs = shop.ledger.jobs.find(JobQuery(), limit=1_000)
    return [spend for job in jobs for spend in shop.ledger.spending.of_job(job.id)]


def _bill(shop: World) -> Decimal:
    return sum((charge.usd for charge in shop.sandbox.state.freepik.charges), Decimal(0))


def _done(shop: World) -> int:
    return shop.ledger.jobs.count(JobQuery((JobStatus.DONE,)))


def main() -> int:
    """Try all kinds; 1 if one is not sound."""
    summary, _, usage = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        "refusing_shops",
        description=f"{summary}\n\n{usage}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--shops", nargs="*", choices=("cold", "warm"), default=("cold", "warm"))
    options = parser.parse_args()
    console = Console()
    table = Table(box=box.SIMPLE, title=f"{options.photos} photos, shops that refuse")
    for name in ("refusal", "shop", "bought", "USD", "done", "USD in all", "min to go on", "s"):
        table.add_column(name, justify="left" if name in ("refusal", "shop") else "right")
    unsound = 0
    for kind in options.kinds:
        for state in options.shops:
            warm = state == "warm"
            started = time.monotonic()
            with (
                tempfile.TemporaryDirectory() as folder,
                pytest.MonkeyPatch.context() as patch,
                world(Path(folder), patch, PHOTOS_PER_RUN="20") as shop,
            ):
                outcome = attempt(shop, kind, options.photos, warm=warm)
            unsound += not outcome.sound
            row = (
                kind,
                state,
                outcome.bought,
                outcome.spent,
                f"{outcome.done}/{outcome.photos}",
                outcome.bill,
                outcome.minutes,
                f"{time.monotonic() - started:.0f}",
            )
            table.add_row(*map(str, row), style=None if outcome.sound else "red")
            console.print(" ".join(map(str, row)), soft_wrap=True)
    console.print(table)
    return int(unsound > 0)


if __name__ == "__main__":
    raise SystemExit(main())
