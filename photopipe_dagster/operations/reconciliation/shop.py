"""The ledger against the shop: pictures that left their product, and pictures of no job.

What a person took off stays off. The shop's file library is not searched: looked at are the
products on which the ledger has put something.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from photopipe_dagster.core.errors import ProductUnknownError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.catalogue import KnownMedia
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.reconciliation.findings import Discrepancy, DiscrepancyKind
from photopipe_dagster.publishing.filenames import is_media_filename
from photopipe_dagster.targets.base import ProductRef, StandingMedia, Target

_Look = Mapping[str, tuple[StandingMedia, ...] | None]


@dataclass(frozen=True)
class ShopComparison:
    """Compares what the ledger has put on products with what stands there.

    Args:
        shop: What people call the target.
        settled_before: What is younger is still on its way, and not judged.
        standing: Filled with the jobs whose picture was seen on its product.
    """

    ledger: Ledger
    target: Target
    shop: str
    settled_before: datetime
    standing: set[str] = field(default_factory=set)

    async def findings(self) -> AsyncIterator[Discrepancy]:
        """What is missing, and what is orphaned.

        Raises:
            TargetError, NetworkError, RateLimitError: The shop refused or did not answer.
        """
        pages = self.ledger.scans.standing_media(self.settled_before)
        while page := await asyncio.to_thread(next, pages, None):
            jobs = await asyncio.to_thread(
                self.ledger.scans.jobs_of, {media.job_id for media in page}
            )
            products = {media.product_id for media in page if media.product_id is not None}
            look = await self.target.media_of(products)
            pairs = _published(page, jobs)
            async for finding in self._gone(pairs, look):
                yield finding
            async for finding in self._foreign(look):
                yield finding
        for finding in await asyncio.to_thread(self._of_the_ledger):
            yield finding

    async def _gone(
        self, pairs: Sequence[tuple[Job, KnownMedia]], look: _Look
    ) -> AsyncIterator[Discrepancy]:
        off: list[tuple[Job, KnownMedia]] = []
        for job, media in pairs:
            stands = look[media.product_id or ""]
            if stands is None:
                yield await self._product_gone(job, media)
            elif any(each.id == media.media_id for each in stands):
                self.standing.add(job.id)
            else:
                off.append((job, media))
        files = await self.target.existing({media.media_id for _, media in off})
        for job, media in off:
            yield _taken_off(job, media, deleted=media.media_id not in files)

    async def _product_gone(self, job: Job, media: KnownMedia) -> Discrepancy:
        gone = f"The product {media.product_id}, on which job {job.id} put its picture, is gone"
        product, why = await self._successor(job)
        if product is None:
            return Discrepancy(
                DiscrepancyKind.PRODUCT_GONE,
                job.id,
                f"{gone}. {why}",
                f"Nothing, if that was meant: `photopipe unpublish {job.id}` writes it down. Else "
                f"give a product the SKU {job.key.sku!r}, and then "
                f"`photopipe publish {job.id}`.",
                media.attached_at,
            )
        return Discrepancy(
            DiscrepancyKind.PRODUCT_REPLACED,
            job.id,
            f"{gone}; its SKU {job.key.sku!r} is that of {product.id} now.",
            "`photopipe reconcile --repair` puts the picture on that one, at no cost.",
            media.attached_at,
            repair=partial(self._publish_on_successor, job),
        )

    async def _successor(self, job: Job) -> tuple[ProductRef | None, str]:
        try:
            return await self.target.find_product(job.key.sku), ""
        except ProductUnknownError as error:
            return None, error.message

    def _publish_on_successor(self, job: Job) -> bool:
        self.ledger.catalogue.forget_product(job.key.sku)
        return self.ledger.transitions.redo(job.id)

    async def _foreign(self, look: _Look) -> AsyncIterator[Discrepancy]:
        """Pictures with a name of ours that the ledger does not know."""
        ours = {
            media.id: (product_id, name)
            for product_id, stands in look.items()
            for media in stands or ()
            if (name := media.filename) is not None and is_media_filename(name)
        }
        known = await asyncio.to_thread(self.ledger.scans.known_media, ours.keys())
        for media_id in sorted(ours.keys() - known):
            product_id, name = ours[media_id]
            yield Discrepancy(
                DiscrepancyKind.MEDIA_ORPHANED,
                media_id,
                f"On {product_id} stands {name}, which has a name of ours and is of no job here.",
                "Another Photopipe made it, or the ledger was restored from before: take it off "
                f"in {self.shop} if the product has the picture twice.",
            )

    def _of_the_ledger(self) -> list[Discrepancy]:
        nobodys = [
            Discrepancy(
                DiscrepancyKind.MEDIA_ORPHANED,
                media.media_id,
                f"The media {media.filename} was made for job {media.job_id}, which the ledger "
                "does not have.",
                f"Take it off its product in {self.shop} if nobody wants it.",
                media.created_at,
            )
            for media in self.ledger.scans.media_of_nobody()
        ]
        unattached = [
            Discrepancy(
                DiscrepancyKind.MEDIA_UNATTACHED,
                media.media_id,
                f"The file {media.filename} of job {media.job_id} was never put on its product.",
                f"`photopipe retry {media.job_id}` uses it; or delete it in {self.shop}.",
                media.created_at,
            )
            for media in self.ledger.scans.unattached_media(self.settled_before)
        ]
        return nobodys + unattached


def _published(
    page: Sequence[KnownMedia], jobs: Mapping[str, Job]
) -> Sequence[tuple[Job, KnownMedia]]:
    """Media that are what their DONE job shows now."""
    return [
        (job, media)
        for media in page
        if (job := jobs.get(media.job_id)) is not None
        and job.status is JobStatus.DONE
        and job.media_id == media.media_id
    ]


def _taken_off(job: Job, media: KnownMedia, *, deleted: bool) -> Discrepancy:
    did = "deleted" if deleted else "taken off its product"
    return Discrepancy(
        DiscrepancyKind.MEDIA_DELETED if deleted else DiscrepancyKind.MEDIA_TAKEN_OFF,
        job.id,
        f"The picture {media.filename} of job {job.id} was {did} by someone ({media.product_id}).",
        f"Nothing, if that was meant: `photopipe unpublish {job.id}` writes it down. To put it "
        f"back: `photopipe publish {job.id}`.",
        media.attached_at,
    )
