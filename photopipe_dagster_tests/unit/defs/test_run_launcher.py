"""Runs are forked from a process that has loaded the code, stopped, and missed when they die."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher.base import WorkerStatus
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from photopipe_dagster.defs import fork_server, run_launcher
from photopipe_dagster.defs.run_launcher import WarmRunLauncher

MODULE = "photopipe_dagster.definitions"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    overrides = {
        "run_launcher": {"module": run_launcher.__name__, "class": WarmRunLauncher.__name__}
    }
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=overrides) as instance:
        yield instance


def launched(instance: dg.DagsterInstance, job: str) -> str:
    """Launch a run of one of our jobs, and return its id."""
    repository = ReconstructableRepository.for_module(
        MODULE, "defs", working_directory=str(Path.cwd())
    )
    recon_job = repository.get_reconstructable_job(job)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE)
    )
    run = instance.create_run_for_job(
        recon_job.get_definition(),
        job_code_origin=recon_job.get_python_origin(),
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job),
    )
    instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type]  # is not needed
    return run.run_id


def launcher(instance: dg.DagsterInstance) -> WarmRunLauncher:
    assert isinstance(instance.run_launcher, WarmRunLauncher)
    return instance.run_launcher


def health(instance: dg.DagsterInstance, run_id: str) -> WorkerStatus:
    run: Any = SimpleNamespace(run_id=run_id)
    return launcher(instance).check_run_worker_health(run).status


def test_a_run_is_forked_and_ends_and_is_forgotten(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    run_id = launched(instance, "housekeeping")
    instance.run_launcher.join(timeout=60)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.is_success
    assert health(instance, run_id) is WorkerStatus.RUNNING, "nothing says that it died"
    assert not instance.run_launcher.terminate(run_id)


def test_a_server_that_cannot_start_is_an_error(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_launcher, "SERVER", ("-c", "raise SystemExit(1)"))
    with pytest.raises(DagsterLaunchFailedError, match="has died, twice"):
        launched(instance, "housekeeping")


def test_what_the_server_has_against_a_run_is_its_failure(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_launcher, "SERVER", ("-c", "input(); print('no room')"))
    with pytest.raises(DagsterLaunchFailedError, match="no room"):
        launched(instance, "housekeeping")


def test_a_run_is_stopped_and_one_that_died_is_missed(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def rest(path: Path, arguments: str) -> None:
        os._exit(7 if signal.sigwait({signal.SIGINT}) else 1)

    monkeypatch.setattr(run_launcher, "SERVER", ("-c", "input(); print()"))
    monkeypatch.setattr(fork_server, "_run", rest)
    run_id = launched(instance, "housekeeping")
    (tmp_path / "processes").mkdir()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # also in the process, until it waits
    fork_server.start(tmp_path / "processes" / run_id, "arguments", io.BytesIO())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    process = fork_server.process_of(tmp_path / "processes" / run_id)
    assert process is not None
    assert health(instance, run_id) is WorkerStatus.RUNNING
    assert instance.run_launcher.terminate(run_id)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELING
    assert health(instance, run_id) is WorkerStatus.FAILED
    instance.report_run_canceled(run)
