"""A file is there whole or not at all, and of several makers one wins."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from photopipe_dagster.core.atomic_file import create_file, replace_file, write_new


class Killed(BaseException):
    """What a killed process does not handle."""


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    replace_file(path, b"first")
    replace_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert names_in(path.parent) == ["file"]


def test_a_failed_replacement_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"first")

    def fail(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="full"):
        replace_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert names_in(tmp_path) == ["file"]


def test_who_makes_a_file_second_learns_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert create_file(path, b"first", mode=0o600)
    assert not create_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names_in(path.parent) == ["file"]


def test_of_threads_that_start_together_one_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda number: create_file(path, b"%d" % number), range(40)))
    assert made.count(True) == 1
    assert path.read_bytes() == b"%d" % made.index(True)


def test_a_new_file_has_the_time_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_new(path, b"data", modified_ns=1_700_000_000_123_456_000)
    assert path.stat().st_mtime_ns == 1_700_000_000_123_456_000
    with pytest.raises(FileExistsError):
        write_new(path, b"other")
    assert path.read_bytes() == b"data"


def test_what_cannot_be_made_durable_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output"):
        write_new(tmp_path / "file", b"data")
    with pytest.raises(OSError, match="input/output"):
        create_file(tmp_path / "file", b"data")
    assert names_in(tmp_path) == []


def test_a_killed_maker_leaves_no_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: int) -> None:
        raise Killed

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(Killed):
        create_file(tmp_path / "file", b"data")
    assert not (tmp_path / "file").exists()
