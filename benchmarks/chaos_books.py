"""The verdict on a trial: the simulators' own books beside the ledger, the store and Dagster.

What may not be seen, whatever was killed:

* a charge that the ledger does not know of, or knows as something else;
* a purchase made again although the ledger could have known of the first one. Only a process that
  died between reserving a purchase and keeping its reference leaves one *unknown*: counted at full
  price, and made again;
* two media, or two files, of one picture; a photo that is not on its product;
* a job that is not DONE; a picture that is not whole; a lease that nobody gives back.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx
from sqlalchemy import select

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.money.spending import COUNTED, Spend, SpendState
from photopipe_dagster.ledger.tables import claims
from photopipe_dagster.storage.base import ObjectStore

STAGE_OF: Final = {"remove_background": Stage.MASK, "mystic": Stage.BACKGROUND}
"""What the simulator of Freepik sells, and the stage that buys it."""

PICTURES: Final = (Stage.ORIGINAL, Stage.MASK, Stage.BACKGROUND, Stage.COMPOSITE)


@dataclass(slots=True)
class Verdict:
    """What came of one trial. Money is USD.

    Args:
        bill: What the simulator of Freepik has charged.
        counted: What the ledger counts as spent: charged, and unknown at full price.
        resolved: Charged rows, and those unknown ones which the simulator did charge.
        unknown: Purchases that the ledger marks as perhaps paid.
        unknown_paid: How many of them the simulator did charge.
        discarded: Purchases that the ledger marks as paid, with a result that was lost.
        double_charges: Charges beyond one a purchase that the ledger does not own up to.
        duplicates: Media or files beyond one a picture.
        lost: Jobs that are not DONE.
        wrong: Everything else that is not as it should be, in words.
    """

    bill: Decimal = Decimal(0)
    counted: Decimal = Decimal(0)
    resolved: Decimal = Decimal(0)
    unknown: int = 0
    unknown_paid: int = 0
    discarded: int = 0
    double_charges: int = 0
    duplicates: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was paid twice unknown to the ledger, published twice, or lost."""
        return (
            not (self.double_charges or self.duplicates or self.lost or self.wrong)
            and self.resolved == self.bill <= self.counted
        )


def compare(
    sandbox: httpx.Client,
    ledger: Ledger,
    store: ObjectStore,
    keys: Sequence[PhotoKey],
    *,
    in_the_air: Counter[Stage] | None,
    allow_discarded: bool,
    clock_ahead: float,
) -> Verdict:
    """Judge a trial.

    Args:
        in_the_air: By stage, how many purchases were reserved and not yet submitted when workers
            died: only these may become unknown. ``None`` where that cannot be told.
        allow_discarded: Whether results may have expired while nobody was at work.
        clock_ahead: Seconds that the last worker's clock was ahead.
    """
    verdict = Verdict()
    jobs = [ledger.jobs.require(key.job_id) for key in keys]
    rows = [row for job in jobs for row in ledger.spending.of_job(job.id)]
    verdict.lost = sum(job.status is not JobStatus.DONE for job in jobs)
    _judge_money(verdict, _get(sandbox, "/charges"), rows, keys)
    _judge_unknown(verdict, rows, in_the_air, allow_discarded=allow_discarded)
    _judge_sums(verdict, jobs, rows)
    _judge_shop(verdict, _get(sandbox, "/shopify/products"), _get(sandbox, "/shopify/files"), jobs)
    _judge_store(verdict, store, jobs)
    _judge_claims(verdict, ledger, clock_ahead)
    return verdict


def _get(sandbox: httpx.Client, path: str) -> Any:
    return sandbox.get(f"/_sandbox{path}").raise_for_status().json()


def _judge_money(
    verdict: Verdict, books: Mapping[str, Any], rows: Sequence[Spend], keys: Sequence[PhotoKey]
) -> None:
    verdict.bill = Decimal(str(books["total_usd"]))
    verdict.counted = sum((row.amount for row in rows if row.state in COUNTED), Decimal(0))
    # A row that was left open is a fault of its own; the ledger still knows of the money.
    known = (SpendState.CHARGED, SpendState.SUBMITTED)
    charged = [row for row in rows if row.state in known]
    verdict.resolved = sum((row.amount for row in charged), Decimal(0))
    verdict.discarded = sum(row.discarded for row in charged)
    needed = {
        Stage.MASK: len({(key.sku, key.sha256) for key in keys}),
        Stage.BACKGROUND: len(keys),
    }
    for operation, stage in STAGE_OF.items():
        charges = [one for one in books["charges"] if one["operation"] == operation]
        paid = [row for row in charged if row.stage is stage]
        unknown = [row for row in rows if row.stage is stage and row.state is SpendState.UNKNOWN]
        # The simulator has one price for each operation, so it is enough to count.
        beyond = len(charges) - len(paid)
        of_unknown = max(0, min(beyond, len(unknown)))
        verdict.unknown += len(unknown)
        verdict.unknown_paid += of_unknown
        verdict.resolved += sum((row.amount for row in unknown[:of_unknown]), Decimal(0))
        verdict.double_charges += max(0, beyond - len(unknown))
        if beyond < 0:
            verdict.wrong.append(f"the ledger has {-beyond} charges of {stage} too many")
        kept = Counter(row.purchase_key for row in paid if not row.discarded)
        if len(kept) != needed[stage] or set(kept.values()) != {1}:
            verdict.wrong.append(f"{stage}: bought and kept {sorted(kept.values())}")


def _judge_unknown(
    verdict: Verdict,
    rows: Sequence[Spend],
    in_the_air: Counter[Stage] | None,
    *,
    allow_discarded: bool,
) -> None:
    for stage in STAGE_OF.values():
        of_stage = [row for row in rows if row.stage is stage]
        unknown = sum(row.state is SpendState.UNKNOWN for row in of_stage)
        if in_the_air is not None and unknown != in_the_air[stage]:
            verdict.wrong.append(
                f"{unknown} purchases of {stage} are unknown; {in_the_air[stage]} were in the air"
            )
        open_rows = [row for row in of_stage if row.state not in (*_SETTLED, SpendState.UNKNOWN)]
        if open_rows:
            verdict.wrong.append(f"{len(open_rows)} purchases of {stage} are still open")
    if verdict.discarded and not allow_discarded:
        verdict.wrong.append(f"{verdict.discarded} results were paid and lost")


_SETTLED: Final = (SpendState.CHARGED, SpendState.VOID)


def _judge_sums(verdict: Verdict, jobs: Sequence[Job], rows: Sequence[Spend]) -> None:
    for job in jobs:
        mine = [row for row in rows if row.job_id == job.id and row.state in COUNTED]
        if job.total_cost != sum((row.amount for row in mine), Decimal(0)):
            verdict.wrong.append(f"job {job.id} says {job.total_cost} USD, its rows say otherwise")


def _judge_shop(
    verdict: Verdict,
    products: Sequence[Mapping[str, Any]],
    files: Sequence[Mapping[str, Any]],
    jobs: Sequence[Job],
) -> None:
    names = Counter(file["filename"] for file in files)
    verdict.duplicates += max(0, len(files) - len(jobs))
    standing = Counter(media["id"] for product in products for media in product["media"])
    verdict.duplicates += sum(standing.values()) - len(standing)
    if len(names) != len(files):
        verdict.wrong.append("two files have one name")
    for product in products:
        sku = product["variants"][0]["sku"]
        wanted = {job.media_id for job in jobs if job.key.sku == sku}
        found = {media["id"] for media in product["media"]}
        if found != wanted:
            verdict.wrong.append(f"{sku} has {len(found)} media, the ledger says {len(wanted)}")
    broken = [file for file in files if file["status"] != "READY"]
    if broken:
        verdict.wrong.append(f"{len(broken)} files of the shop are not READY")


def _judge_store(verdict: Verdict, store: ObjectStore, jobs: Sequence[Job]) -> None:
    for job in jobs:
        for stage in PICTURES:
            key = job.key.object_key(stage)
            stored = store.get(key)
            if stored is None:
                verdict.wrong.append(f"{key} is not in the store")
            elif stored.info.metadata.get("sha256") != hashlib.sha256(stored.data).hexdigest():
                verdict.wrong.append(f"{key} is not what its metadata says")
            elif job.object_keys[stage] != key:
                verdict.wrong.append(f"job {job.id} does not know {key}")


def _judge_claims(verdict: Verdict, ledger: Ledger, clock_ahead: float) -> None:
    now = datetime.now(UTC) + timedelta(seconds=clock_ahead)
    held = ledger.database.all(select(claims.c.name).where(claims.c.expires_at > now))
    if held:
        verdict.wrong.append(f"{len(held)} leases are still held")


def described(verdict: Verdict) -> str:
    """A verdict in one line."""
    facts = {
        name: getattr(verdict, name)
        for name in ("double_charges", "duplicates", "lost", "unknown", "unknown_paid", "discarded")
    }
    money = f"bill {verdict.bill}, counted {verdict.counted}, resolved {verdict.resolved}"
    return f"{json.dumps(facts)} {money} {'; '.join(verdict.wrong)}"
