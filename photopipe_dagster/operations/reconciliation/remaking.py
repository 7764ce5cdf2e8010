"""What it would take to make the missing pictures of a job again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.costs.estimate import Candidate, Estimator
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.imaging.placement import TWENTY_MEGAPIXELS, SizeLimit
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.providers.base import BackgroundProvider, CutoutProvider
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import PictureFacts, find_picture
from photopipe_dagster.themes.model import Theme
from photopipe_dagster.themes.registry import ThemeRegistry

_BOUGHT: Final = (Stage.MASK, Stage.BACKGROUND)


@dataclass(frozen=True, slots=True)
class Remake:
    """What it would take.

    Args:
        price: USD for all that would be bought.
        same: Whether what is stored would be kept, so that the same picture comes out as before.
    """

    price: Decimal
    same: bool


class Remaker:
    """Works out what going through all stages again would buy.

    Args:
        ledger: Knows what is bought and only to be fetched.
        store: Knows what is stored, and by which recipe.
        themes: Knows what a theme asks of its background.
        cutouts: Who cuts out now.
        backgrounds: Says who makes the backgrounds of a theme now.
        limit: The largest picture that may be published now.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        themes: ThemeRegistry,
        cutouts: CutoutProvider,
        backgrounds: Callable[[Theme], BackgroundProvider],
        *,
        limit: SizeLimit = TWENTY_MEGAPIXELS,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._themes = themes
        self._cutouts = cutouts
        self._backgrounds = backgrounds
        self._limit = limit

    def remake(self, job: Job) -> Remake | None:
        """What it would take; ``None`` if it cannot be done, because the original is gone."""
        candidate = self._candidate(job)
        if candidate is None:
            return None
        # One of its own for each job: a batch's would take for bought what an earlier job needs.
        estimator = Estimator(
            self._ledger,
            self._store,
            self._themes,
            self._cutouts,
            self._backgrounds,
            limit=self._limit,
        )
        (photo,) = estimator.estimate([candidate], again=True)
        kept = all(
            stage in photo.reused
            or self._store.head(job.key.object_key(stage, job.variant)) is None
            for stage in _BOUGHT
        )
        return Remake(photo.total, same=kept)

    def _candidate(self, job: Job) -> Candidate | None:
        key = job.key.object_key(Stage.ORIGINAL)
        stored = find_picture(self._store, key, PictureFacts)
        if stored is not None:
            return Candidate(job.key, stored.digest, stored.facts.size)
        # Put back by hand or by `photopipe submit`: nothing is written beside its bytes yet.
        found = self._store.get(key)
        if found is None:
            return None
        digest = hashlib.sha256(found.data).hexdigest()
        if not digest.startswith(job.key.sha256):
            return None
        measured = inspect(found.data)
        return Candidate(job.key, digest, (measured.width, measured.height))
