import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from unittest.mock import patch

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from sqlalchemy import event, select, text

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.ledger import Ledger, database
from photopipe_dagster.ledger.catalogue import Catalogue
from photopipe_dagster.ledger.database import MIGRATIONS, Database, upsert
from photopipe_dagster.ledger.tables import claims, metadata
from photopipe_dagster_tests.support.processes import STARTER, start
from photopipe_dagster_tests.unit.ledger.conftest import photo


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


def migrate(url: str, together: Barrier) -> None:
    database = Database(url)
    together.wait()
    database.migrate()


def test_processes_that_start_together_migrate_once(empty_database_url: str, tmp_path: Path):
    together = STARTER.Barrier(8)
    processes = [start(tmp_path / "log", migrate, empty_database_url, together) for _ in range(8)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8, (tmp_path / "log").read_text()
    ledger = Ledger(empty_database_url)
    assert ledger.intake.submit(photo(), "poll").created
    ledger.close()


def test_the_ledgers_folder_is_made(tmp_path: Path):
    ledger = Ledger(f"sqlite:///{tmp_path}/deep/down/ledger.db")
    ledger.database.migrate()
    assert ledger.intake.submit(photo(), "poll").created
    ledger.close()


def test_a_missing_driver_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    for url in ("postgresql://me:SECRET@host/db", "postgresql+nodriver://me:SECRET@host/db"):
        with pytest.raises(ConfigurationError, match=r"photopipe-dagster\[postgres\]") as caught:
            Database(url)
        assert "SECRET" not in str(caught.value)


def test_what_an_older_version_wrote_is_still_there_after_migrating(empty_database_url: str):
    database = Database(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0009")
        connection.execute(
            text(
                "INSERT INTO media (filename, job_id, media_id, created_at)"
                " VALUES ('a.jpg', 'job', 'm1', '2026-11-01 12:00:00')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO products (sku, product_id, title, synced_at)"
                " VALUES ('A', 'gid://1', 'Tee', '2026-11-01 12:00:00')"
            )
        )
    database.migrate()
    known = Catalogue(database).media("a.jpg")
    assert (known.media_id, known.replaces_media_id, known.detached_at) == ("m1", None, None)
    product = Catalogue(database).product("A")
    assert (product.product_id, product.title) == ("gid://1", "Tee")
    assert (product.category_id, product.category, product.product_type) == (None, None, None)
    database.close()


def test_a_ledger_that_is_too_old_is_refused_with_what_to_do(empty_database_url: str):
    database = Database(empty_database_url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0003')"))
    with pytest.raises(ConfigurationError, match=r"revision 0003.*none before 0009.*b29f5f2"):
        database.migrate()
    with database.read() as connection:
        assert (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0003"
        )
    database.close()


def test_a_url_that_cannot_work_is_refused_with_what_to_do():
    for url in ("mysql://x/y", "sqlite://"):
        with pytest.raises(ConfigurationError, match="DATABASE_URL"):
            Database(url)


def test_naive_moments_are_refused(ledger: Ledger):
    with pytest.raises(Exception, match="timezone-aware"):
        ledger.intake.submit(photo(), "poll", taken_at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_writers_wait_for_their_turn(ledger: Ledger):
    def write(number: int) -> None:
        for step in range(10):
            ledger.watermarks.set(f"mark-{number}", str(step))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert [ledger.watermarks.get(f"mark-{number}") for number in range(8)] == ["9"] * 8


def test_threads_that_open_ledgers_of_their_own_migrate_each(tmp_path: Path):
    def opened(number: int) -> int:
        ledger = Ledger(f"sqlite:///{tmp_path}/{number}.db")
        ledger.database.migrate()
        return ledger.jobs.stats().total

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(opened, range(8))) == [0] * 8


def test_a_connection_that_has_rested_is_tried_out_before_it_is_used(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "_RESTED_SECONDS", 0.0)
    ours, others = Database(postgres_url), Database(postgres_url)
    with ours.write() as connection:
        process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with others.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": process})
    with ours.write() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != process
    ours.close()
    others.close()


def test_one_that_was_used_just_now_is_not_tried_out(postgres_url: str):
    ledger = Database(postgres_url)
    with ledger.write() as connection:
        process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    asked = []
    event.listen(ledger.engine, "checkout", lambda *_: asked.append("checkout"))
    with patch.object(ledger.engine.dialect, "do_ping", side_effect=AssertionError):
        assert ledger.one(text("SELECT pg_backend_pid()"))[0] == process
    assert asked == ["checkout"]
    ledger.close()


def test_looks_at_postgres_open_no_transaction(postgres_url: str):
    ledger = Database(postgres_url)
    with ledger.read() as connection:
        connection.execute(text("SELECT 1"))
        driver = connection.connection.dbapi_connection
        assert driver is not None
        assert driver.info.transaction_status == TRANSACTION_STATUS_IDLE  # type: ignore[attr-defined]
    with ledger.write() as connection:
        connection.execute(text("SELECT 1"))
        driver = connection.connection.dbapi_connection
        assert driver.info.transaction_status != TRANSACTION_STATUS_IDLE  # type: ignore[union-attr]
    ledger.close()


def test_upserts_change_the_row_of_the_same_key_where_they_may(database_url: str):
    ledger = Database(database_url)
    ledger.migrate()
    now = ledger.now()
    columns = ("name", "owner", "expires_at")
    kept = upsert(claims, "name", columns, where="claims.owner = excluded.owner", returning="name")
    row = {"name": "job:a", "owner": "me", "expires_at": now}
    with ledger.write() as connection:
        assert connection.execute(kept, row).scalars().all() == ["job:a"]
        assert connection.execute(kept, row).scalars().all() == ["job:a"]
        assert connection.execute(kept, row | {"owner": "you"}).scalars().all() == []
    assert [tuple(each) for each in ledger.all(select(claims))] == [("job:a", "me", now)]
    ledger.close()


# --- files that are no ledger, and who may read one --------------------------------------------


@pytest.mark.parametrize("revision", ["9999", "3e0770016702"])
def test_a_ledger_of_a_revision_that_is_not_known_is_refused(
    empty_database_url: str, revision: str
):
    database = Database(empty_database_url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text(f"INSERT INTO alembic_version VALUES ('{revision}')"))  # noqa: S608
    with pytest.raises(ConfigurationError, match=rf"is of revision {revision}.*newer version"):
        database.migrate()
    database.close()


@pytest.mark.parametrize("garbage", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused_with_its_name(tmp_path: Path, garbage: bytes):
    file = tmp_path / "photopipe.db"
    file.write_bytes(garbage)
    with pytest.raises(ConfigurationError, match=r"photopipe\.db \(DB_PATH, DATA_DIR\) cannot be"):
        Database(f"sqlite:///{file}").migrate()
    assert file.read_bytes() == garbage


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


def test_only_its_owner_reads_a_new_ledger(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}/photopipe.db")
    database.migrate()
    assert set(modes(tmp_path).values()) == {0o600}
    assert len(modes(tmp_path)) == 3
    database.close()


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o664, 0o660), (0o600, 0o600)])
def test_others_no_longer_read_a_ledger_that_is_there(tmp_path: Path, before: int, after: int):
    for name in ("photopipe.db", "photopipe.db-wal"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(before)
    database = Database(f"sqlite:///{tmp_path}/photopipe.db")
    assert set(modes(tmp_path).values()) == {after}
    database.migrate()
    database.close()
