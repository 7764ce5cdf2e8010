"""Dagster's face of the composition root."""

import os
from contextlib import AbstractAsyncContextManager
from functools import cached_property, lru_cache
from pathlib import Path

import dagster as dg

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.runtime.configuration import read_configuration
from photopipe_dagster.runtime.services import Services, open_services, shared_ledger
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store


class PhotopipeResource(dg.ConfigurableResource["PhotopipeResource"]):
    """Everything that assets and sensors work with, built from the environment when needed."""

    @cached_property
    def settings(self) -> Settings:
        """The environment as it is when this is first asked."""
        return _configuration(tuple(os.environ.items()), _state_of(".env"))

    @property
    def ledger(self) -> Ledger:
        """The ledger of this process."""
        return shared_ledger(self.settings)

    @property
    def store(self) -> ObjectStore:
        """The object store of this process."""
        return _store_of(self.settings)

    def open_services(self) -> AbstractAsyncContextManager[Services]:
        """The services of one run, inside its event loop."""
        return open_services(self.settings)


def open_store() -> ObjectStore:
    """The object store that the environment names, for the IO manager."""
    return _store_of(Settings())


@lru_cache(maxsize=1)
def _configuration(
    environment: tuple[tuple[str, str], ...], dotenv: tuple[int, ...] | None
) -> Settings:
    """The settings, read again where what they are read from is another: each tick asks."""
    return read_configuration()


def _state_of(path: str) -> tuple[int, ...] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


@lru_cache(maxsize=4)
def _store_of(settings: Settings) -> ObjectStore:
    return object_store(settings)


def current_variant(key: PhotoKey) -> int:
    """Which of its backgrounds a photo has now, for the IO manager."""
    job = shared_ledger(Settings()).jobs.get(key.job_id)
    return 1 if job is None else job.variant
