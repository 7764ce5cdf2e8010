from collections.abc import Iterator

import pytest

from photopipe_dagster.ledger import Ledger
from photopipe_dagster_tests.unit.ledger.conftest import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(database_url: str, clock: Clock) -> Iterator[Ledger]:
    """An empty ledger, once in each kind of database, whose clock stands still."""
    ledger = Ledger(
        database_url,
        max_retries=2,
        retry_delay_seconds=60,
        lease_seconds=30,
        clock=clock,
    )
    yield ledger
    ledger.close()
