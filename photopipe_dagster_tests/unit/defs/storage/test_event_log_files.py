"""Dagster's SQLite files stay open while a run writes events, and its events stay what they are."""

import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from photopipe_dagster.defs.storage.event_log_files import open_event_log_files
from photopipe_dagster_tests.support.dagster_home import dagster_instance


def files(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    """The write-ahead logs of a run's events and of the index."""
    storage: Any = instance.event_log_storage
    return [Path(f"{storage.path_for_shard(shard)}-wal") for shard in (run_id, "index")]


def test_the_files_of_a_run_stay_open_until_it_ends():
    seen = []

    @dg.op
    def reporting(context: dg.OpExecutionContext):
        with open_event_log_files(context.instance, context.run.run_id):
            yield dg.AssetMaterialization("picture", partition="mug")
            seen.extend(file.exists() for file in files(context.instance, context.run.run_id))
        yield dg.Output(None)

    @dg.job
    def reports():
        reporting()

    with dagster_instance() as instance:
        result = reports.execute_in_process(instance=instance)
        assert seen == [True, True]
        assert not any(file.exists() for file in files(instance, result.run_id))
        assert instance.get_materialized_partitions(dg.AssetKey("picture")) == {"mug"}


def test_there_is_nothing_to_keep_open_where_events_are_elsewhere():
    with dg.DagsterInstance.ephemeral() as instance, open_event_log_files(instance, "run"):
        assert not hasattr(instance.event_log_storage, "path_for_shard")


def test_another_thread_may_close_them():
    with dagster_instance() as instance:
        opened = open_event_log_files(instance, "run")
        opened.__enter__()
        raised = []

        def close():
            try:
                opened.__exit__(None, None, None)
            except sqlite3.Error as error:
                raised.append(error)

        thread = threading.Thread(target=close)
        thread.start()
        thread.join()
        assert raised == []


@pytest.mark.parametrize("broken", ["folder", "damaged"])
def test_a_file_that_cannot_be_opened_stops_no_run(broken: str):
    with dagster_instance() as instance:
        storage: Any = instance.event_log_storage
        file = Path(storage.path_for_shard("run"))
        if broken == "folder":
            file.mkdir()
        else:
            file.write_bytes(b"no database" * 100)
        ran = []
        with open_event_log_files(instance, "run"):
            ran.append(True)
        assert ran == [True]
        shutil.rmtree(file) if broken == "folder" else file.unlink()
