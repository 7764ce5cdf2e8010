"""Processes are forked for runs, and a file says whether each lives."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from photopipe_dagster.defs import fork_server
from photopipe_dagster.defs.fork_server import changes, clear, process_of, start


def started(path: Path, does: Callable[[Path], int], monkeypatch: pytest.MonkeyPatch) -> int:
    """Start a process that does something and ends with what that returns; its id."""

    def run(path: Path, arguments: str) -> None:
        os._exit(does(path))

    monkeypatch.setattr(fork_server, "_run", run)
    start(path, "arguments", io.BytesIO())
    process = process_of(path)
    assert process is not None
    return process


def rest(_: Path) -> int:
    signal.pause()
    return 0


def test_a_process_is_known_while_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "run"
    with pytest.raises(FileNotFoundError):
        process_of(file)
    process = started(file, rest, monkeypatch)
    assert started(file, rest, monkeypatch) == process, "a run has one process"
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    assert process_of(file) is None


def test_what_died_long_ago_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = ("dead long ago", "dead", "alive")
    for name in names[:2]:
        (tmp_path / name).write_text("1")
    process = started(tmp_path / "alive", rest, monkeypatch)
    for name in ("dead long ago", "alive"):
        os.utime(tmp_path / name, (0, 0))
    clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"dead", "alive"}
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


@pytest.mark.parametrize("edited", ["package/new.toml", "package/old.py", "plugin.py"])
def test_what_an_engineer_edits_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: str
):
    monkeypatch.setattr(fork_server, "PACKAGE", tmp_path / "package")
    (tmp_path / "package").mkdir()
    for name in ("package/old.py", "plugin.py"):
        (tmp_path / name).write_text("")
    loaded = changes([str(tmp_path / "plugin.py")])
    (tmp_path / "package" / "old.pyc").write_text("")
    assert changes([str(tmp_path / "plugin.py")]) == loaded
    (tmp_path / edited).write_text("edited")
    os.utime(tmp_path / edited, (1, 1))
    assert changes([str(tmp_path / "plugin.py")]) != loaded
