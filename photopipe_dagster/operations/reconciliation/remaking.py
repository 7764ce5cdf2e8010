"""What it would take to make the missing pictures of a job again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.costs.estimate import Candidate, Estimator
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import PictureFacts, find_picture

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


def remake(estimator: Estimator, job: Job) -> Remake | None:
    """What going through all stages again would buy; ``None`` if the photo is not there any more.

    Args:
        estimator: Knows what is bought and stored, and who makes pictures now.
    """
    try:
        candidate = _candidate(estimator.store, job)
        if candidate is None:
            return None
        # One of its own for each job: a batch's would take for bought what an earlier job needs.
        (photo,) = replace(estimator).estimate([candidate], again=True)
    except PhotoRejectedError:
        return None  # somebody put something else in the original's place
    kept = all(
        stage in photo.reused
        or estimator.store.head(job.key.object_key(stage, job.variant)) is None
        for stage in _BOUGHT
    )
    return Remake(photo.total, same=kept)


def _candidate(store: ObjectStore, job: Job) -> Candidate | None:
    key = job.key.object_key(Stage.ORIGINAL)
    stored = find_picture(store, key, PictureFacts)
    if stored is not None:
        return Candidate(job.key, stored.digest, stored.facts.size)
    # Put back by hand or by `photopipe submit`: nothing is written beside its bytes yet.
    found = store.get(key)
    if found is None:
        return None
    digest = hashlib.sha256(found.data).hexdigest()
    if not digest.startswith(job.key.sha256):
        return None
    measured = inspect(found.data)
    return Candidate(job.key, digest, (measured.width, measured.height))
