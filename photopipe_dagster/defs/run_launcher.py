"""Launches runs in processes that have loaded the code already.

Dagster's default launcher starts an interpreter for each run, which imports everything: two to
three CPU seconds, and as long until a lone photo is looked at. This one, where `dagster.yaml` names
it, has a server of its own fork them (see `fork_server`). Whatever that cannot do is left to the
default launcher: another interpreter's code, and machines that are no Linux, where forking is not
safe.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

from dagster import DefaultRunLauncher
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value

from photopipe_dagster.defs.fork_server import process_of

SERVER: Final = ("-m", "photopipe_dagster.defs.fork_server")
"""Arguments of the interpreter; the folder comes after them."""


class WarmRunLauncher(DefaultRunLauncher):
    """`DefaultRunLauncher` for runs of this interpreter's code on this machine."""

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._server: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Have a process forked for a run.

        Raises:
            DagsterLaunchFailedError: There is none.
        """
        run, origin = context.dagster_run, context.job_code_origin
        executable = None if origin is None else origin.repository_origin.executable_path
        if sys.platform != "linux" or origin is None or executable != sys.executable:
            super().launch_run(context)
            return
        arguments = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref())
        refusal = self._ask(f"{run.run_id} {serialize_value(arguments)}\n".encode())
        if refusal is not None:
            raise DagsterLaunchFailedError(refusal)  # type: ignore[no-untyped-call]  # Dagster's
        self._run_ids.add(run.run_id)

    def terminate(self, run_id: str) -> bool:
        """Tell the process of a run to stop; its photos go back to be dispatched."""
        run = self._instance.get_run_by_id(run_id)
        process = self._process(run_id)
        if process is None or run is None or run.is_finished:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]  # Dagster's
        self._instance.report_run_canceling(run)
        try:
            os.kill(process, signal.SIGINT)
        except ProcessLookupError:
            return False
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's monitoring asks after each run."""
        return True

    def check_run_worker_health(self, run: Any) -> CheckRunHealthResult:
        """Whether the process of a run is dead, as far as is known here."""
        try:
            dead = process_of(self._folder / run.run_id) is None
        except FileNotFoundError:  # ended just now, or started by the default launcher
            dead = False
        if dead:
            return CheckRunHealthResult(WorkerStatus.FAILED, "The process of this run is dead.")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def dispose(self) -> None:
        """Let the server end; runs go on."""
        with self._lock:
            self._forget()

    @property
    def _folder(self) -> Path:
        return Path(self._instance.root_directory) / "processes"

    def _process(self, run_id: str) -> int | None:
        try:
            return process_of(self._folder / run_id)
        except FileNotFoundError:
            return None

    def _ask(self, request: bytes) -> str | None:
        """What the server has against a request; it is started, or started again, if need be."""
        with self._lock:
            for _ in range(2):
                server = self._running()
                try:
                    server.stdin.write(request)  # type: ignore[union-attr]  # it is a pipe
                    answer = server.stdout.readline()  # type: ignore[union-attr]
                except OSError:
                    answer = b""
                if answer:
                    return answer.decode().strip() or None
                self._forget()
        return "The process that starts runs has died, twice; the daemon's log has its last words."

    def _running(self) -> subprocess.Popen[bytes]:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, *SERVER, str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
        return self._server

    def _forget(self) -> None:
        if self._server is not None:
            for pipe in (self._server.stdin, self._server.stdout):
                if pipe is not None:
                    pipe.close()
            self._server.wait()
            self._server = None
