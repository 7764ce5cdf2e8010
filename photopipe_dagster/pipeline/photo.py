"""What a stage is given, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.pipeline.pictures import PhotoPictures
from photopipe_dagster.publishing.product_lookup import ProductLookup
from photopipe_dagster.quality.results import CheckResult
from photopipe_dagster.runtime.leases import LeaseHolder
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.runtime.slots import Slot
from photopipe_dagster.storage.pictures import Artifact, F


@dataclass(frozen=True, slots=True)
class PhotoContext:
    """One photo in one run.

    Args:
        owner: Holds leases and pays: this run.
        leases: Holds leases in the owner's name.
        slot: Its place among the photos that are worked on.
        product: Which product has its SKU.
    """

    key: PhotoKey
    job: Job
    owner: str
    services: Services
    leases: LeaseHolder
    slot: Slot
    product: ProductLookup

    @property
    def pictures(self) -> PhotoPictures:
        """Its pictures, in the store and in memory."""
        services = self.services
        return PhotoPictures(services.store, services.cache, self.key, self.job.variant)


@dataclass(frozen=True, slots=True)
class StageResult(Generic[F]):
    """What came of a stage.

    Args:
        reused: Whether it was there already, so that nothing was made or paid.
        cost: USD paid in this run.
        shown: Facts of this run for people, beside those of the artifact.
        thumbnail: A small picture as a data URI; the one of the stage before where there is none.
        checks: What was found in the picture. One that fails stops the photo here.
        seconds: How long the stage took.
    """

    artifact: Artifact[F]
    reused: bool = False
    cost: Decimal = Decimal(0)
    provider: str | None = None
    model: str | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: str | None = None
    checks: tuple[CheckResult, ...] = ()
    seconds: float = 0.0
