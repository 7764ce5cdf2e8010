"""Whether the demo has shown what it promises. Pure: from what was seen to what is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from photopipe_dagster.demo.sandbox_client import SandboxRecords
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.providers.prices import ProviderJob


@dataclass(frozen=True, slots=True)
class DemoCheck:
    """One thing that was looked at."""

    ok: bool
    says: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known at one moment.

    Args:
        jobs: All jobs.
        spent_usd: What the ledger says was spent.
        pictures: When each stored picture was written, by its key.
        records: What the simulators say.
    """

    jobs: Sequence[Job]
    spent_usd: Decimal
    pictures: Mapping[str, datetime]
    records: SandboxRecords


def first_round(
    seen: Evidence, *, jobs_expected: int, paid: Collection[ProviderJob] = ()
) -> list[DemoCheck]:
    """Whether every photo went all the way, once.

    Args:
        jobs_expected: How many photos and themes were sent.
        paid: What a simulator of a provider was to be paid for.
    """
    done = [job for job in seen.jobs if job.status is JobStatus.DONE]
    published = {(job.product_id, job.media_id) for job in done}
    on_products = {(product, gid) for product, gids in seen.records.media.items() for gid in gids}
    findings = [
        DemoCheck(
            len(done) == len(seen.jobs) == jobs_expected,
            f"{len(done)} of {jobs_expected} jobs are done",
        ),
        DemoCheck(
            len(published) == len(done) and published == on_products,
            f"the shop has {seen.records.published} pictures, each on its own product",
        ),
    ]
    if paid:
        bought = Counter(job for job, _ in seen.records.charges)
        photos = len({(job.key.sku, job.key.sha256) for job in seen.jobs})
        wanted = {"cutout": photos, "background": jobs_expected}
        findings += [
            DemoCheck(
                seen.spent_usd == seen.records.billed_usd,
                f"the ledger says {seen.spent_usd} USD, the provider's bill "
                f"{seen.records.billed_usd} USD",
            ),
            DemoCheck(
                bought == {job: wanted[job] for job in paid},
                f"{bought['cutout']} cut-outs and {bought['background']} backgrounds were paid for "
                f"{photos} photos in {jobs_expected} settings: themes share a cut-out",
            ),
        ]
    return findings


def second_round(before: Evidence, after: Evidence) -> list[DemoCheck]:
    """Whether sending everything again changed nothing that costs or shows."""
    paid_again = len(after.records.charges) - len(before.records.charges)
    made_again = [key for key, when in after.pictures.items() if before.pictures.get(key) != when]
    unfinished = [job for job in after.jobs if job.status is not JobStatus.DONE]
    same_shop = (after.records.files, after.records.media, after.records.made_in_shop) == (
        before.records.files,
        before.records.media,
        before.records.made_in_shop,
    )
    return [
        DemoCheck(
            len(after.jobs) == len(before.jobs) and not unfinished,
            f"still {len(after.jobs)} jobs, {len(unfinished)} of them not done",
        ),
        DemoCheck(
            paid_again == 0 and after.spent_usd == before.spent_usd,
            f"{paid_again} more charges; spent {before.spent_usd} USD before and "
            f"{after.spent_usd} USD after",
        ),
        DemoCheck(
            same_shop,
            f"{after.records.published - before.records.published} more pictures on products, "
            f"{after.records.made_in_shop - before.records.made_in_shop} more made in the shop",
        ),
        DemoCheck(not made_again, f"{len(made_again)} stored pictures were made again"),
    ]
