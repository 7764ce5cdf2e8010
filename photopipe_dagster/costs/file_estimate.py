"""What submitting files would cost, before anything is submitted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.estimate import Candidate, PhotoEstimate, estimating
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.storage.base import ObjectStore


def estimate_files(
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    files: Sequence[Path],
    sku: str,
    themes: Sequence[str],
) -> list[tuple[Path, PhotoEstimate]]:
    """What files would cost in themes: of each file, each theme.

    Raises:
        PhotoRejectedError: A file is no photo that can be worked with.
        ConfigurationError: A provider cannot work with these settings.
    """
    with estimating(settings, ledger, store) as estimator:
        photos = estimator.estimate(_candidates(settings, files, sku, themes))
    return list(zip((file for file in files for _ in themes), photos, strict=True))


def _candidates(
    settings: Settings, files: Sequence[Path], sku: str, themes: Sequence[str]
) -> Iterator[Candidate]:
    for file in files:
        data = file.read_bytes()
        info = inspect(data, max_pixels=settings.image_max_pixels, min_side=settings.image_min_side)
        sha256 = hashlib.sha256(data).hexdigest()
        for theme in themes:
            yield Candidate(PhotoKey(sku, sha256, theme), sha256, (info.width, info.height))
