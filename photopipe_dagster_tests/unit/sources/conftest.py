"""A source that no package brings: it knows no digests, and forgets what it is told of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import EntryPoint

import pytest

from photopipe_dagster.core.errors import NetworkError, PhotoRejectedError
from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.sources.base import (
    Announcement,
    Malformed,
    PhotoSource,
    Polling,
    Schedule,
    SourceContext,
    SourcePlugin,
    Webhook,
    WebhookReader,
    WebhookRefusedError,
)
from photopipe_dagster.sources.registry import SOURCES
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.ledgers import new_ledger

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class ShelfSettings(PluginSettings):
    shelf_seconds: int = 60
    shelf_open: bool = True


@dataclass
class Shelf(PhotoSource, WebhookReader):
    """Photos by their reference, each with its SKU.

    Args:
        away: References whose photo cannot be had now.
        silent: Raised when it is told that a photo has its job.
    """

    photos: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    updated: dict[str, datetime] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    silent: BaseException | None = None
    asked: list[datetime | None] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    verifies: bool = True

    def put(self, ref: str, sku: str, photo: bytes, updated: datetime = NOW) -> None:
        self.photos[ref] = (sku, photo)
        self.updated[ref] = updated

    async def list_since(
        self, moment: datetime | None
    ) -> AsyncIterator[list[Announcement | Malformed]]:
        self.asked.append(moment)
        for ref, (sku, _) in self.photos.items():
            if ref not in self.told:
                yield [Announcement(sku, ref, updated_at=self.updated[ref])]

    async def fetch(self, ref: str) -> bytes:
        self.fetched.append(ref)
        if ref in self.away:
            raise NetworkError("The shelf does not answer.")
        if ref not in self.photos:
            raise PhotoRejectedError("The shelf has no such photo.")
        return self.photos[ref][1]

    async def acknowledge(self, announcement: Announcement) -> None:
        if self.silent is not None:
            raise self.silent
        self.told.append(announcement.ref)

    async def aclose(self) -> None:
        self.closed += 1

    def read(self, headers: Mapping[str, str], body: bytes) -> Announcement:
        if headers.get("x-shelf") != "mine":
            raise WebhookRefusedError(403, "not_mine", "Send X-Shelf: mine.")
        return Announcement(**json.loads(body))


class ShelfPlugin(SourcePlugin):
    name = "shelf"
    title = "The shelf"
    settings = ShelfSettings
    schemes = frozenset({"shelf"})
    polling = Polling("shelf_poll", "last_shelf_poll", "shelf")
    webhook = Webhook("/shelf", "shelf-push", "Announce a photo of the shelf.", {})

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def check(self, settings: Settings) -> None:
        pass

    def open(self, context: SourceContext) -> Shelf:
        self.shelf.opened += 1
        return self.shelf

    def schedule(self, settings: Settings) -> Schedule:
        ours = settings.of(ShelfSettings)
        off = None if ours.shelf_open else "SHELF_OPEN is off."
        return Schedule(ours.shelf_seconds, 0, off=off)

    def open_webhook(self, settings: Settings) -> WebhookReader:
        return self.shelf


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def plugin(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> ShelfPlugin:
    """The plug-in of the shelf, installed."""
    plugin = ShelfPlugin(shelf)
    place = EntryPoint("shelf", f"{__name__}:ShelfPlugin", SOURCES.group)
    monkeypatch.setitem(vars(SOURCES), "_found", {**SOURCES._found, "shelf": (place,)})
    monkeypatch.setitem(SOURCES._made, "shelf", plugin)
    return plugin


@pytest.fixture
def settings(tmp_path):
    return Settings(_env_file=None, data_dir=tmp_path)


@pytest.fixture
def ledger(settings):
    new_ledger(settings.data_dir)
    ledger = Ledger(settings.ledger_url, clock=lambda: NOW)
    yield ledger
    ledger.close()


@pytest.fixture
def store(settings) -> ObjectStore:
    return object_store(settings)
