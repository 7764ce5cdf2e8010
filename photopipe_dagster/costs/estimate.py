"""What photos would cost, before anything is submitted: by the prices and recipes of the stages.

Nothing is bought and nothing is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.placement import TWENTY_MEGAPIXELS, SizeLimit
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job, can_retry
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.scenes import SceneRevision
from photopipe_dagster.pipeline.purchase_keys import (
    background_purchase,
    background_request,
    mask_purchase,
)
from photopipe_dagster.providers.base import BackgroundProvider, CutoutProvider
from photopipe_dagster.runtime.providers import Providers
from photopipe_dagster.runtime.scenes import chosen_scene
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import Artifact, PictureFacts, find_picture
from photopipe_dagster.targets.registry import picture_limits
from photopipe_dagster.themes.model import SceneChoice, Theme
from photopipe_dagster.themes.registry import ThemeRegistry

USUAL_SIZE: Final = (2048, 2048)
"""Pixels of a photo whose size nobody wrote down."""

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A photo in a theme that may be submitted.

    Args:
        digest: SHA-256 of its bytes, as hex.
        size: Width and height in pixels, as displayed.
        variant: Of its background; ``None``: the one that its job is at.
    """

    key: PhotoKey
    digest: str
    size: tuple[int, int]
    variant: int | None = None


@dataclass(frozen=True, slots=True)
class PhotoEstimate:
    """What a photo in a theme would cost.

    Args:
        cutout: USD.
        background: USD.
        reused: Stages whose picture is stored, bought, or shared with another photo of the batch.
        standing: Why nothing would be done at all; empty if something would.
    """

    key: PhotoKey
    cutout: Decimal
    background: Decimal
    reused: tuple[Stage, ...] = ()
    standing: str = ""

    @property
    def total(self) -> Decimal:
        """USD."""
        return self.cutout + self.background


@dataclass
class Estimator:
    """Estimates photos of one batch: what one would buy, the next finds.

    Args:
        ledger: Knows jobs, and what is bought but not fetched.
        store: Knows what is stored.
        themes: Knows what a theme asks of its background.
        cutouts: Who cuts out; asked for prices and parameters alone.
        backgrounds: Says who makes the backgrounds of a theme; in the same form.
        limit: The largest picture that may be published.
    """

    ledger: Ledger
    store: ObjectStore
    themes: ThemeRegistry
    cutouts: CutoutProvider
    backgrounds: Callable[[Theme], BackgroundProvider]
    limit: SizeLimit = TWENTY_MEGAPIXELS
    _bought: set[str] = field(default_factory=set, init=False)

    def estimate(
        self, candidates: Iterable[Candidate], *, again: bool = False
    ) -> list[PhotoEstimate]:
        """What each would cost, in order.

        Args:
            again: Photos that are done, or failed for good, are made again.
        """
        return [self._photo(each, again) for each in candidates]

    def _photo(self, photo: Candidate, again: bool) -> PhotoEstimate:
        job = self.ledger.jobs.get(photo.key.job_id)
        variant = photo.variant or (1 if job is None else job.variant)
        standing = "" if again else _standing(job)
        if standing:
            return PhotoEstimate(photo.key, _NOTHING, _NOTHING, standing=standing)
        reused: list[Stage] = []
        mask_recipe, mask_key = mask_purchase(photo.key, self.cutouts, photo.digest)
        mask = self._stored(photo.key, Stage.MASK)
        cutout = self.cutouts.cutout_price()
        if self._have(mask, mask_recipe, mask_key):
            reused.append(Stage.MASK)
            cutout = _NOTHING
        kept = mask is not None and mask.recipe == mask_recipe
        size = mask.facts.size if mask is not None and kept else photo.size
        theme = self.themes.get(photo.key.theme)
        stored = self._stored(photo.key, Stage.BACKGROUND, variant)
        scene = self._scene(theme, photo.key, stored)
        request = background_request(theme, photo.key, size, variant, limit=self.limit, scene=scene)
        maker = self.backgrounds(theme)
        recipe, key = background_purchase(photo.key, maker, request, variant)
        background = maker.background_price(request)
        if self._have(stored, recipe, key):
            reused.append(Stage.BACKGROUND)
            background = _NOTHING
        return PhotoEstimate(photo.key, cutout, background, tuple(reused))

    def _scene(
        self, theme: Theme, key: PhotoKey, stored: Artifact[PictureFacts] | None
    ) -> SceneRevision | None:
        label = (stored.facts.model_extra or {}).get("scene") if stored is not None else None
        name = str(label).rpartition("@")[0]
        if theme.scene_choice is SceneChoice.SHAPE and name in theme.scenes:
            # The product's shape is in its cut-out's pixels; it chose this one before.
            theme = replace(theme, scenes=(name,))
        return chosen_scene(self.ledger.scenes, theme, key.sku)

    def _have(self, stored: Artifact[PictureFacts] | None, recipe: str, purchase_key: str) -> bool:
        """Whether a picture by that recipe is stored, is paid already, or is bought before this."""
        if stored is not None and stored.recipe == recipe:
            return True
        if purchase_key in self._bought:
            return True
        self._bought.add(purchase_key)
        return bool(self.ledger.spending.submitted_among([purchase_key]))

    def _stored(
        self, key: PhotoKey, stage: Stage, variant: int = 1
    ) -> Artifact[PictureFacts] | None:
        return find_picture(self.store, key.object_key(stage, variant), PictureFacts)


@contextmanager
def estimating(
    settings: Settings, ledger: Ledger, store: ObjectStore, *, draft: Theme | None = None
) -> Iterator[Estimator]:
    """An estimator of the providers that the settings name.

    Args:
        draft: A theme that is estimated as if it were saved.

    Raises:
        ConfigurationError: A provider cannot work with these settings.
    """
    providers = Providers(settings)
    themes = ledger.themes.registry(settings)
    try:
        yield Estimator(
            ledger,
            store,
            themes if draft is None else themes.drafted(draft),
            providers.cutouts,
            providers.backgrounds,
            limit=picture_limits(settings).size,
        )
    finally:
        asyncio.run(providers.aclose())


def _standing(job: Job | None) -> str:
    if job is None:
        return ""
    if job.status is JobStatus.DONE:
        return "done already"
    if can_retry(job) and job.retry_at is None:
        return f"{job.status}; see `photopipe retry {job.id}`"
    return ""
