"""All sources, asked to keep the contract of sources."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster_tests.support.conformance.sources import NOW, SourceContract, Stock
from photopipe_dagster_tests.support.plugins.services import KEY, Shelf


class AcmeStock(Stock):
    """Acme's shelf."""

    def __init__(self, shelf: Shelf, url: str) -> None:
        own = {"acme_shelf_url": url, "acme_shelf_key": KEY}
        super().__init__("acme-shelf", Settings(_env_file=None, **own))
        self._shelf = shelf

    def put(self, sku: str, photo: bytes, changed: datetime) -> None:
        self._shelf.put(sku, photo, changed)

    def put_malformed(self) -> None:
        self._shelf.oddities.append({"sku": 7, "url": "https://shelf.example/7.jpg?sig=hush"})

    def remove_files(self) -> None:
        self._shelf.photos.clear()

    def waiting(self) -> list[str]:
        return [photo.sku for photo in self._shelf.photos.values() if not photo.taken]


class TestAcmeShelf(SourceContract):
    name = "acme-shelf"

    @pytest.fixture
    def stock(self, outside: Path) -> Iterator[Stock]:
        shelf = Shelf()
        with shelf.running() as url:
            yield AcmeStock(shelf, url)


class ThreeJmsStock(Stock):
    """The simulator of 3JMS. It lists all photos for ever, and wants no acknowledgement."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        own = {
            "threejms_api_url": sandbox.threejms_url,
            "threejms_page_size": 2,
            "image_url_allowed_hosts": ["127.0.0.1"],
        }
        key = sandbox.config.threejms_key
        super().__init__("threejms", Settings(_env_file=None, threejms_api_key=key, **own))
        self._shelf = sandbox.state.threejms

    def put(self, sku: str, photo: bytes, changed: datetime) -> None:
        self._shelf.add(sku, photo, updated_at=changed)

    def put_malformed(self) -> None:
        self._shelf.add("A", b"", claimed_sha256="https://x.example/?sig=hush", updated_at=NOW)

    def remove_files(self) -> None:
        self._shelf.reset()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


class TestThreeJms(SourceContract):
    name = "threejms"

    @pytest.fixture
    def stock(self, sandbox: RunningSandbox) -> Stock:
        sandbox.state.reset()
        return ThreeJmsStock(sandbox)
