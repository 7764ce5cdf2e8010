"""Cut-outs that people repair now: decoded once, so that each stroke is answered at once."""

from __future__ import annotations

import threading
from typing import Final

from cachetools import TTLCache

from photopipe_dagster.core.errors import InvalidTransitionError
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.operations.repairs import CutoutRepairs, OpenCutout

_BYTES: Final = 256 * 1024 * 1024
"""Of all that are kept."""

_SECONDS: Final = 900


class OpenCutouts:
    """Hands out what `CutoutRepairs.open` reads, for a while without reading it again."""

    def __init__(self, repairs: CutoutRepairs) -> None:
        self.repairs = repairs
        self._lock = threading.Lock()
        self._kept: TTLCache[tuple[str, str], OpenCutout] = TTLCache(
            _BYTES, _SECONDS, getsizeof=lambda opened: 2 * opened.photo.nbytes + opened.rgba.nbytes
        )

    def get(self, job: Job, digest: str) -> OpenCutout:
        """The cut-out of a job that a person looks at.

        Args:
            digest: SHA-256 of it, as its page has it.

        Raises:
            InvalidTransitionError: Another cut-out is stored by now.
            ObjectMissingError, PhotoRejectedError: As `CutoutRepairs.open` says.
        """
        with self._lock:
            opened = self._kept.get((job.id, digest))
        if opened is None:
            opened = self.repairs.open(job)
            if opened.digest != digest:
                raise InvalidTransitionError(
                    "The cut-out has changed since this page was loaded: look at it again."
                )
            with self._lock:
                # One that is larger than all that may be kept is read each time.
                if self._kept.getsizeof(opened) <= _BYTES:
                    self._kept[job.id, digest] = opened
        return opened
