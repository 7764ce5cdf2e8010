from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger import Ledger


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(database_url: str, clock: Clock) -> Iterator[Ledger]:
    ledger = Ledger(
        database_url,
        max_retries=2,
        retry_delay_seconds=60,
        lease_seconds=30,
        clock=clock,
    )
    ledger.database.migrate()
    yield ledger
    ledger.close()


def photo(number: int = 1, theme: str = "default") -> PhotoKey:
    return PhotoKey(f"SKU-{number}", f"{number:064x}", theme)
