"""Dagster's home in SQLite files, opened by several services at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from photopipe_dagster.demo.environment import dagster_project
from photopipe_dagster.operations.dagster_instance import dagster_instance

_SERVICES = 3

_SERVICE = """
import sys
import dagster as dg
print("ready", flush=True)
sys.stdin.readline()
with dg.DagsterInstance.get() as instance:
    instance.get_runs(limit=1)
    instance.get_dynamic_partitions("photos")
    instance.all_instigator_state()
"""


def test_services_that_start_together_on_a_new_home_all_open_it(tmp_path: Path) -> None:
    shutil.copy(dagster_project() / "dagster.yaml", tmp_path)
    services = [
        subprocess.Popen(
            [sys.executable, "-c", _SERVICE],
            env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(_SERVICES)
    ]
    for service in services:
        assert service.stdout
        assert service.stdout.readline() == "ready\n"
    for service in services:
        assert service.stdin
        service.stdin.write("now\n")
        service.stdin.flush()
    said = [service.communicate()[1] for service in services]
    assert [service.returncode for service in services] == [0] * _SERVICES, said


def test_the_home_of_dev_is_opened_with_its_own_files(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # restored, whatever is set meanwhile
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(dagster_project() / "dagster.yaml", home)
    instance = dagster_instance(tmp_path)
    assert instance is not None
    with instance:
        assert instance.get_runs_count() == 0
    assert (home / "history" / "runs.db").is_file()
