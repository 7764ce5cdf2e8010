import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from photopipe_dagster_tests.postgres import new_database, running_postgres


@pytest.fixture(autouse=True)
def log_levels_stay_as_they_were() -> Iterator[None]:
    """The API turns HTTP clients' logs down for its process; other tests listen to them."""
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """DATABASE_URL of an empty Postgres database that is this test's own."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """DATABASE_URL of an empty database, once for each kind."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/ledger.db"
