import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage
from hypothesis import HealthCheck, settings
from sqlalchemy import URL, make_url

from photopipe_dagster.imaging.segmentation.model import ensure_model
from photopipe_dagster.ledger.database import Database
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.plugins.installing import install, seen
from photopipe_dagster_tests.support.postgres import new_database, running_postgres

# How fast this machine is at the moment says nothing about the code. CI tries the same examples
# each time; people at their desks explore.
settings.register_profile(
    "photopipe",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("photopipe")


MEMORY = Path("/dev/shm")

MEMORY_BYTES = 2 << 30
"""What must be free there: five times of what the tests keep at once."""


def pytest_configure() -> None:
    """See that processes which tests start can be stopped, and that files take no disk.

    Where a shell has started the tests in the background, SIGINT is ignored; Dagster gives SIGTERM
    the same handler, and children inherit both. On a disk, a third of the time of tests goes into
    making SQLite's files durable. Tests start programs in their folders, which not all machines
    allow there.
    """
    if (
        "TMPDIR" not in os.environ
        and MEMORY.is_dir()
        and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
    ):
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


FOLDERS = ("unit", "integration", "end_to_end")

LONG_FILES = (
    "test_shared_purchases.py",
    "test_watchdog.py",
    "test_old_version.py",
    "test_plugins.py",
    "test_fleet.py",
    "test_two_processes.py",
    "test_chaos.py",
    "test_whole_path.py",
    "test_reconciler.py",
    "test_gates.py",
    "test_product_lookup.py",
    "test_approval.py",
    "test_budget.py",
    "test_retention.py",
)
"""Files that take half a minute and more: first, so that no process is left with one at the end."""

SLOW_FILES = (
    *LONG_FILES,
    "test_any_shop.py",
    "test_cli.py",
    "test_contract.py",
    "test_cost_of_a_photo.py",
    "test_decode.py",
    "test_determinism.py",
    "test_finishing.py",
    "test_fuzz.py",
    "test_job_machine.py",
    "test_pages.py",
    "test_process_group.py",
    "test_scenes.py",
    "test_schema.py",
    "test_shadow.py",
    "test_spending_machine.py",
    "test_damaged_pictures.py",
    "test_throughput.py",
    "test_transport.py",
)
"""Unit tests of seconds, or many of a second: state machines, fuzzing, scenes, pages, commands."""

SLOW_FIXTURES = {"model", "model_path", "models_dir", "outside", "site", "s3_url"}
"""They fetch a network, install packages or start a server."""

LONG_SECONDS = 1200
"""Time-out of a test in one of the long files; of others, see pyproject.toml."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder and by what it uses, and put the tests of long files first."""
    for item in items:
        for marker in _markers(item):
            item.add_marker(marker)
        if item.path.name in LONG_FILES:
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


def _markers(item: pytest.Item) -> Iterator[str]:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    if folder in FOLDERS:
        yield folder
    fixtures = set(getattr(item, "fixturenames", ()))
    names = vars(item.module) if isinstance(item, pytest.Function) else {}
    if (
        fixtures & {"postgres_url", "postgres_server"}
        or "[postgres" in item.name
        or "-postgres" in item.name
    ):
        yield "postgres"
    if "sync_playwright" in names:
        yield "browser"
    if item.path.name in SLOW_FILES or fixtures & SLOW_FIXTURES or "world" in names:
        yield "slow"


@pytest.fixture(autouse=True)
def clients_logs_are_on() -> None:
    """The API turns HTTP clients' logs down for its process, and Alembic turns logs off."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.disabled = False
        logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def no_dagster_instance_of_another_test() -> Iterator[None]:
    """Dagster remembers the last instance that was opened, and would ask it when it is gone."""
    with set_defs_state_storage(None):
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """DATABASE_URL of an empty Postgres database that is this test's own."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: URL) -> Iterator[str]:
    """Name of a database that has a ledger's schema: making it takes longer than most tests."""
    with new_database(postgres_server) as url:
        ledger = Database(url)
        ledger.migrate()
        ledger.close()
        yield str(make_url(url).database)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """DATABASE_URL of a new ledger with its schema, once for each kind of database."""
    if request.param == "sqlite":
        yield f"sqlite:///{new_ledger(tmp_path)}"
        return
    server, migrated = map(request.getfixturevalue, ("postgres_server", "migrated_postgres"))
    with new_database(server, migrated) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """DATABASE_URL of a database without tables, once for each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the three packages from outside are installed."""
    return install(tmp_path_factory.mktemp("outside"))


@pytest.fixture
def outside(site: Path) -> Iterator[Path]:
    """The same, seen by this process."""
    with seen(site):
        yield site


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Where the local network's file is kept from one run of the tests to the next."""
    kept = os.environ.get("PHOTOPIPE_TEST_CACHE")
    return Path(kept) if kept else Path(__file__).resolve().parents[1] / "build" / "models"


@pytest.fixture(scope="session")
def model_path(models_dir: Path) -> Path:
    """The local network's file: fetched once. Fails, and does not skip, where it cannot be had."""
    return ensure_model(models_dir)
