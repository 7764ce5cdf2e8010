"""Starts processes that belong together, watches them, and stops every one of them.

Each process leads a group of its own, so that what it starts itself (Dagster's code server and
runs) goes down with it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Final

import httpx

from photopipe_dagster.core.errors import PhotopipeError

HOST: Final = "127.0.0.1"

READY_SECONDS: Final = 120.0
"""How long a process may take until it answers: Dagster loads its code twice on a cold disk."""

GRACE_SECONDS: Final = 10.0
"""How long a process may take to stop by itself."""

IDLE_SECONDS: Final = 1.0
"""The same, once nothing is at work any more: Dagster's own processes may take five seconds and
more to say goodbye to each other.
"""

_LOG_LINES = 12
_LOOK_SECONDS = 0.1
_DEAD: Final = frozenset("ZX")
"""States of processes that have ended, in proc(5)."""


class StackError(PhotopipeError):
    """A process did not start, or died; the message names its log and shows the end of it."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process of a stack.

    Args:
        name: Also the name of its log.
        command: What to run.
        health: URL that answers 200 when it is ready; ready at once where empty.
        environment: Variables for this process alone.
    """

    name: str
    command: Sequence[str]
    health: str = ""
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    log: Path


class Stack(AbstractContextManager["Stack"]):
    """Processes that run together; use it in ``with``.

    Args:
        environment: All variables that the processes see.
        folder: Where they run.
        logs: Folder for a log of each.
        grace_seconds: How long they may take to stop by themselves.
        clock: Seconds of a monotonic clock.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        folder: Path,
        logs: Path,
        grace_seconds: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._environment = dict(environment)
        self._folder = folder
        self._logs = logs
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._sleep = sleep
        self._running: list[_Running] = []

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, program: Program) -> None:
        """Start a process; it is not waited for."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{program.name}.log"
        with log.open("ab") as file:
            self._running.append(_Running(program, self._spawn(program, file), log))

    def _spawn(self, program: Program, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(program.command),
            cwd=self._folder,
            env=self._environment | dict(program.environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_until_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Wait until all processes answer.

        Raises:
            StackError: One died or does not answer.
        """
        deadline = self._clock() + timeout_seconds
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            for running in self._running:
                while not _answers(client, running.program.health):
                    self.check()
                    if self._clock() > deadline:
                        raise StackError(
                            f"{running.program.name} does not answer after {timeout_seconds:.0f} s."
                            f"{_end_of(running.log)}"
                        )
                    self._sleep(_LOOK_SECONDS)
        self.check()

    def check(self) -> None:
        """See that all processes are alive.

        Raises:
            StackError: One has died.
        """
        for running in self._running:
            code = running.process.poll()
            if code is not None:
                raise StackError(
                    f"{running.program.name} has ended with status {code}.{_end_of(running.log)}"
                )

    def stop(self, at_work: Callable[[], bool] = lambda: True) -> None:
        """Stop all processes and whatever they started, the last one first; harmless if done.

        Args:
            at_work: Whether any of them has something to lose; asked while they stop.
        """
        stopping = [self._running.pop() for _ in range(len(self._running))]
        try:
            for running in stopping:
                _signal_group(running.process, signal.SIGTERM)
            worked = self._clock()
            deadline = worked + self._grace_seconds
            while any(_group_lives(running.process) for running in stopping):
                now = self._clock()
                if at_work():
                    worked = now
                if now > min(deadline, worked + IDLE_SECONDS):
                    break
                self._sleep(_LOOK_SECONDS)
        finally:
            # A second Ctrl-C gets here at once.
            for running in stopping:
                _signal_group(running.process, signal.SIGKILL)
                running.process.wait()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM end this process the way Ctrl-C does: through every ``with`` on the way out.

    Ctrl-C does so even where a shell has started this process in the background, with SIGINT
    ignored. Children would inherit that, and Dagster's treat SIGTERM as they treat SIGINT: nothing
    but SIGKILL would end them.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handlers = {signal.SIGTERM: leave, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_port() -> int:
    """A port that nobody listens on, for a moment at least."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, what: str, advice: str) -> None:
    """See that a port is free.

    Args:
        what: Who would listen there.
        advice: What to do about it.

    Raises:
        StackError: It is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: what lingers from one that just ended does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise StackError(f"Port {port}, for {what}, is taken. {advice}") from None


def _answers(client: httpx.Client, url: str) -> bool:
    if not url:
        return True
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # collects the leader: a dead child that nobody asked after counts as alive
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    # Orphans that have died wait for init, which collects them late, and in many containers never.
    states = _states_of_group(process.pid)
    return not states or any(state not in _DEAD for state in states)


def _states_of_group(group: int) -> list[str]:
    """The states of its processes, as proc(5) letters; none where there is no ``/proc``."""
    states = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has gone meanwhile
            # The name, in brackets, may hold anything; after it: state, parent, group.
            state, _, its_group = file.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group:
                states.append(state)
    return states


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    shown = "".join(f"\n    {line[:300]}" for line in lines)
    return f" Its log is {log}" + (f", which ends with:{shown}" if shown else ", and empty.")
