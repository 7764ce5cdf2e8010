"""What a stage is given and what it returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.quality.results import CheckResult
from photopipe_dagster.runtime.leases import Claimant
from photopipe_dagster.runtime.services import Services
from photopipe_dagster.runtime.slots import Hand


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What a stage made of a photo.

    Args:
        object_key: Where the picture is stored; ``None`` for the published media.
        recipe: Digest of what made it.
        digest: SHA-256 of its bytes, or what stands for them.
        reused: Whether it was there already, so that nothing was made or paid.
        cost: USD paid in this run.
        facts: What else is worth showing: dimensions, model, coverage, Shopify's ids …
        thumbnail: A small picture as a data URI.
        seconds: How long the stage took.
        checks: What was found in the picture. One that fails stops the photo here.
    """

    object_key: str | None
    recipe: str
    digest: str
    reused: bool = False
    cost: Decimal = Decimal(0)
    provider: str | None = None
    model: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: str | None = None
    seconds: float = 0.0
    checks: tuple[CheckResult, ...] = ()


@dataclass(slots=True)
class Work:
    """One photo on its way through one run, with what later stages need of earlier ones.

    Args:
        owner: Who claims and pays: this run.
        claimant: Holds claims in the owner's name.
        hand: The hand that it is in.
        product: What is known of its product, where it is to be published.
        original: The photo's bytes, once they are in hand.
        cutout: The decoded cut-out, kept so that it is decoded once.
        background: The background's bytes, once they are in hand.
        composite: The composite's bytes, once they are in hand.
        outcomes: What the stages before have made in this run.
    """

    key: PhotoKey
    job: Job
    owner: str
    services: Services
    claimant: Claimant
    hand: Hand
    product: KnownProduct | None = None
    original: bytes | None = None
    cutout: CutoutPicture | None = None
    background: bytes | None = None
    composite: bytes | None = None
    outcomes: dict[Stage, StageOutcome] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """Bytes of the pictures in hand."""
        files = (self.original, self.background, self.composite)
        decoded = 0 if self.cutout is None else self.cutout.size_in_memory
        return decoded + sum(len(file) for file in files if file is not None)

    def let_go(self) -> None:
        """Leave the pictures in the store, where a later stage reads them again."""
        self.original = self.cutout = self.background = self.composite = None


StageFunction = Callable[[Work], Awaitable[StageOutcome]]
