"""Dagster's SQLite files stay open, few of them, and are the ones that Dagster itself has."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules.migration import SCHEDULE_TICKS_SELECTOR_ID
from sqlalchemy.exc import OperationalError

from photopipe_dagster.defs.storage.sqlite import (
    SqliteEvents,
    SqliteRuns,
    SqliteSchedules,
    SqliteStorage,
)


def report(instance: dg.DagsterInstance, partition: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("mask", partition=partition))


def made(instance: dg.DagsterInstance) -> set[str]:
    return instance.get_materialized_partitions(dg.AssetKey("mask"))


def plain(home: Path) -> dg.DagsterInstance:
    (home / "dagster.yaml").write_text("{}")
    return dg.DagsterInstance.from_config(str(home))


def kept(home: Path) -> dg.DagsterInstance:
    (home / "dagster.yaml").write_text(
        "storage: {custom: {module: photopipe_dagster.defs.storage.sqlite, "
        f"class: SqliteStorage, config: {{base_dir: '{home}'}}}}}}"
    )
    return dg.DagsterInstance.from_config(str(home))


def events(instance: dg.DagsterInstance) -> SqliteEvents:
    storage = instance.event_log_storage
    assert isinstance(storage, SqliteEvents)
    return storage


def test_a_home_that_dagster_made_goes_on_and_back(tmp_path: Path):
    for number, opened in enumerate((plain, kept, plain, kept)):
        with opened(tmp_path) as instance:
            report(instance, str(number))
    with plain(tmp_path) as instance:
        assert made(instance) == {"0", "1", "2", "3"}


def test_two_processes_may_have_the_files_open(tmp_path: Path):
    with kept(tmp_path) as one, plain(tmp_path) as two:
        report(one, "a")
        report(two, "b")
        report(one, "c")
        assert made(one) == made(two) == {"a", "b", "c"}


def test_only_a_few_files_stay_open(tmp_path: Path):
    with kept(tmp_path) as instance:
        storage = events(instance)
        report(instance, "a")
        for number in range(30):
            with storage.run_connection(f"run-{number}"):
                pass
        assert len(storage._engines) == 8
        assert "index" in storage._engines
        storage.dispose()
        assert storage._engines == {}


def test_a_file_that_was_removed_is_not_written_to(tmp_path: Path):
    with kept(tmp_path) as instance:
        storage = events(instance)
        with storage.run_connection("run"):
            pass
        for file in Path(storage.path_for_shard("run")).parent.glob("run.db*"):
            file.unlink()
        assert storage.get_logs_for_run("run") == []
        assert Path(storage.path_for_shard("run")).is_file()


def test_a_home_is_migrated_once_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with kept(tmp_path) as instance:
        report(instance, "a")
    with monkeypatch.context() as patched:
        patched.setattr(SqliteRunStorage, "from_local", None)
        with kept(tmp_path) as again:
            assert made(again) == {"a"}
            assert again.get_runs_count() == 0
    shutil.rmtree(tmp_path / "history")
    with kept(tmp_path) as new:
        assert made(new) == set()
        assert new.get_runs_count() == 0


def test_runs_and_sensors_keep_their_files_open(tmp_path: Path):
    with kept(tmp_path) as instance:
        for storage in (instance.run_storage, instance.schedule_storage):
            assert isinstance(storage, SqliteRuns | SqliteSchedules)
            with storage.connect() as first:
                used = first.connection.driver_connection
            with storage.connect() as second, storage.connect() as third:
                assert second.connection.driver_connection is used
                assert third.connection.driver_connection is not used


def test_what_dagster_has_migrated_is_looked_up_once(tmp_path: Path):
    with kept(tmp_path) as instance:
        runs, schedules = instance.run_storage, instance.schedule_storage
        assert isinstance(runs, SqliteRuns)
        assert isinstance(schedules, SqliteSchedules)

        def known() -> list[bool]:
            looked_up = map(schedules.has_built_index, (SCHEDULE_TICKS_SELECTOR_ID, "none"))
            return [runs.has_run_stats_index_cols(), *looked_up]

        assert known() == [True, True, False]
        schedules.connect = runs.connect = None  # type: ignore[assignment,method-assign]
        assert runs.has_run_stats_index_cols()
        assert schedules.has_built_index(SCHEDULE_TICKS_SELECTOR_ID)


def test_runs_that_were_removed_are_not_written_to(tmp_path: Path):
    with kept(tmp_path) as instance:
        instance.get_runs_count()
        for file in (tmp_path / "history").glob("runs.db*"):
            file.unlink()
        with pytest.raises(OperationalError, match="no such table"):
            instance.get_runs_count()


def test_many_threads_may_use_it(tmp_path: Path):
    with kept(tmp_path) as instance:
        errors = []

        def work(name: str) -> None:
            try:
                for number in range(5):
                    report(instance, f"{name}{number}")
                    made(instance)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(made(instance)) == 30


def test_the_configuration_is_that_of_dagsters_own(tmp_path: Path):
    with kept(tmp_path) as instance:
        ref = instance.get_ref()
    with dg.DagsterInstance.from_ref(ref) as again:
        assert isinstance(again.event_log_storage, SqliteEvents)


@pytest.mark.parametrize("broken", ["folder", "damaged"])
def test_a_file_that_cannot_be_opened_is_an_error_of_its_run_alone(tmp_path: Path, broken: str):
    with kept(tmp_path) as instance:
        storage = events(instance)
        file = Path(storage.path_for_shard("run"))
        file.mkdir() if broken == "folder" else file.write_bytes(b"no database" * 100)
        with pytest.raises(Exception, match=r"unable to open|not a database"):
            storage.get_logs_for_run("run")
        report(instance, "a")
        assert made(instance) == {"a"}


@pytest.mark.parametrize("variable", ["DAGSTER_HOME", "DATA_DIR"])
def test_the_files_are_in_the_home_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
):
    for name in ("DAGSTER_HOME", "DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "set"))
    SqliteStorage.from_config_value(None, {}).dispose()
    home = tmp_path / "set" / ("dagster" if variable == "DATA_DIR" else "")
    assert (home / "history" / "runs.db").is_file()
