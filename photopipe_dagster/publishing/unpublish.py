"""Taking a job's picture off its product again, and putting back what stood there before."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.catalogue import KnownMedia
from photopipe_dagster.ledger.jobs.leases import job_lease
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import AT_REST
from photopipe_dagster.runtime.leases import LeaseHolder
from photopipe_dagster.targets.base import Target, Withdrawn


async def unpublish(settings: Settings, ledger: Ledger, target: Target, job_id: str) -> Withdrawn:
    """Take a job's media off its product; the one that it replaced comes back in its place.

    Files stay in the shop. The job keeps its status, so that no sensor publishes it again; a run
    that is asked to does. Once or twice, or killed in between and repeated: the same.

    Raises:
        NotFoundError: There is no such job.
        PhotopipeError: A run is at work on it, or it shares the picture of another job.
        TargetError, NetworkError, RateLimitError: The shop refused or did not answer; try again.
    """
    job = _at_rest(ledger, job_id)
    owner = f"unpublish-{secrets.token_hex(8)}"
    lease = job_lease(job_id)
    if not await asyncio.to_thread(ledger.leases.take, [lease], owner):
        raise PhotopipeError(f"A run is at work on job {job_id}: try again when it has ended.")
    async with (
        LeaseHolder(ledger.leases, owner, settings.job_lease_seconds) as leases,
        leases.hold(lease),
    ):
        # A run may have taken it up and ended before its lease was taken.
        job = _at_rest(ledger, job_id)
        media = await asyncio.to_thread(ledger.catalogue.media_of_job, job_id)
        ours = [each for each in media if each.detached_at is None and each.restored_at is None]
        if not ours and job.media_id is not None:
            await asyncio.to_thread(_ensure_own, ledger, job_id, job.media_id)
        done = await _take_off(ledger, target, job, ours) if ours else Withdrawn()
        await asyncio.to_thread(ledger.transitions.unpublished, job_id)
    return done


def _at_rest(ledger: Ledger, job_id: str) -> Job:
    job = ledger.jobs.require(job_id)
    if job.status not in AT_REST:
        raise PhotopipeError(
            f"Job {job_id} is {job.status} and will be published: unpublish it when it is at rest."
        )
    return job


def _ensure_own(ledger: Ledger, job_id: str, media_id: str) -> None:
    maker = ledger.catalogue.job_of_media(media_id)
    if maker not in (None, job_id):
        raise PhotopipeError(
            f"Job {job_id} shares the picture that job {maker} has put on the product, which has "
            f"the same photo: unpublish {maker}."
        )


async def _take_off(
    ledger: Ledger, target: Target, job: Job, ours: Sequence[KnownMedia]
) -> Withdrawn:
    """Take media off their products, and write it down."""
    heir = next((each for each in ours if each.replaces_media_id), ours[0])
    earlier = heir.replaces_media_id
    # An attempt to publish that was killed may have left both on the product.
    leaving = [each for each in ours if each.media_id != earlier]
    done = Withdrawn()
    by_product: dict[str | None, list[str]] = {}
    for each in leaving:
        product_id = each.product_id or job.product_id or _product_of(ledger, job)
        by_product.setdefault(product_id, []).append(each.media_id)
    for product_id, media_ids in by_product.items():
        if product_id is None:
            continue
        wanted = earlier if heir.media_id in media_ids else None
        one = await target.withdraw(product_id, media_ids, restore=wanted)
        done = Withdrawn(
            done.taken + one.taken, done.restored or one.restored, done.lost or one.lost
        )
    gone = [each.media_id for each in ours if each.media_id != done.restored]
    await asyncio.to_thread(ledger.catalogue.unpublished_media, gone, done.restored)
    return done


def _product_of(ledger: Ledger, job: Job) -> str | None:
    known = ledger.catalogue.product(job.key.sku)
    return None if known is None else known.product_id
