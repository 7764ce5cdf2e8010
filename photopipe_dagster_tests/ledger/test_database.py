from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from photopipe_dagster.errors import ConfigurationError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import metadata
from photopipe_dagster_tests.ledger.conftest import photo


def test_the_migrations_make_the_tables_that_the_code_uses(ledger: Ledger):
    with ledger.database.read() as connection:
        context = MigrationContext.configure(connection)
        differences = [
            difference
            for difference in compare_metadata(context, metadata)
            # SQLite reports types by their affinity only.
            if not (isinstance(difference, list) and difference[0][0] == "modify_type")
        ]
    assert differences == []


def test_processes_that_start_together_migrate_once(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/deep/down/ledger.db"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Database(url).migrate(), range(8)))
    ledger = Ledger(url)
    assert ledger.jobs.submit(photo(), "poll").created


def test_a_url_that_cannot_work_is_refused_with_what_to_do():
    for url in ("mysql://x/y", "sqlite://"):
        with pytest.raises(ConfigurationError, match="DATABASE_URL"):
            Database(url)


def test_naive_moments_are_refused(ledger: Ledger):
    with pytest.raises(Exception, match="timezone-aware"):
        ledger.jobs.submit(photo(), "poll", taken_at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_writers_wait_for_their_turn(ledger: Ledger):
    def write(number: int) -> None:
        for step in range(10):
            ledger.watermarks.set(f"mark-{number}", str(step))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert [ledger.watermarks.get(f"mark-{number}") for number in range(8)] == ["9"] * 8
