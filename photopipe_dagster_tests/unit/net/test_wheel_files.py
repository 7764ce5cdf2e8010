import hashlib
import subprocess
import threading
import zipfile
from dataclasses import replace

import pytest

from photopipe_dagster.net import wheel_files
from photopipe_dagster.net.wheel_files import (
    Wheel,
    WheelDownloadError,
    fetch,
    fetch_file,
    pip_download,
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


WHEEL = Wheel(
    "shop", "1.0", {"shop/static/mug.png": sha256(b"mug"), "shop/static/hat.png": sha256(b"hat")}
)


def shelf(contents: dict[str, bytes], asked: list[str]):
    """A download that puts a wheel of these contents into the folder, and notes that."""

    def download(wheel, folder):
        asked.append(wheel.name)
        with zipfile.ZipFile(folder / "shop-1.0-py3-none-any.whl", "w") as archive:
            for path, data in contents.items():
                archive.writestr(path, data)

    return download


GOOD = {"shop/static/mug.png": b"mug", "shop/static/hat.png": b"hat", "shop/code.py": b"import os"}


def test_only_what_is_wanted_is_taken_and_kept(tmp_path):
    asked = []
    found = fetch(WHEEL, tmp_path, shelf(GOOD, asked))
    assert found == {"shop/static/mug.png": b"mug", "shop/static/hat.png": b"hat"}
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == [
        "hat.png",
        "mug.png",
    ]


def test_the_second_time_nothing_is_downloaded(tmp_path):
    asked = []
    first = fetch(WHEEL, tmp_path, shelf(GOOD, asked))
    assert fetch(WHEEL, tmp_path, shelf(GOOD, asked)) == first
    assert asked == ["shop"]


@pytest.mark.parametrize("damage", [b"", b"mugg", None])
def test_a_kept_file_that_is_damaged_or_gone_is_fetched_again(tmp_path, damage):
    asked = []
    first = fetch(WHEEL, tmp_path, shelf(GOOD, asked))
    mug = next(tmp_path.rglob("mug.png"))
    if damage is None:
        mug.unlink()
    else:
        mug.write_bytes(damage)
    assert fetch(WHEEL, tmp_path, shelf(GOOD, asked)) == first
    assert asked == ["shop", "shop"]
    assert mug.read_bytes() == b"mug"


def test_a_file_with_another_hash_is_refused_and_not_kept(tmp_path):
    with pytest.raises(WheelDownloadError, match=r"hat\.png in it is another file"):
        fetch(WHEEL, tmp_path, shelf(GOOD | {"shop/static/hat.png": b"cap"}, []))
    assert not list(tmp_path.iterdir())


def test_a_wheel_that_lacks_a_file_is_refused(tmp_path):
    with pytest.raises(WheelDownloadError, match=r"shop/static/hat\.png"):
        fetch(WHEEL, tmp_path, shelf({"shop/static/mug.png": b"mug"}, []))


def test_a_broken_wheel_is_refused(tmp_path):
    with pytest.raises(WheelDownloadError, match="broken"):
        fetch(WHEEL, tmp_path, lambda wheel, folder: (folder / "s.whl").write_bytes(b"no zip"))


def test_no_wheel_at_all_is_an_error(tmp_path):
    with pytest.raises(WheelDownloadError, match="no wheel came"):
        fetch(WHEEL, tmp_path, lambda wheel, folder: None)


def test_pip_is_asked_for_that_very_wheel_and_told_not_to_install(tmp_path, monkeypatch):
    asked = []

    def run(command, **_):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheel_files.subprocess, "run", run)
    pip_download(WHEEL, tmp_path)
    (command,) = asked
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", f"--dest={tmp_path}"} <= set(command)
    assert command[-1] == "shop==1.0"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ERROR: Could not connect to https://me:secret@index.test/", "pip failed"),
        ("No module named pip\n", "pip is not installed here"),
    ],
)
def test_a_failing_pip_is_told_with_advice_and_without_addresses(
    tmp_path, monkeypatch, said, expected
):
    monkeypatch.setattr(
        wheel_files.subprocess,
        "run",
        lambda command, **_: subprocess.CompletedProcess(command, 1, "", said),
    )
    with pytest.raises(WheelDownloadError, match=expected) as caught:
        pip_download(WHEEL, tmp_path)
    assert "pip download shop==1.0" in str(caught.value)
    assert "index.test" not in str(caught.value)


def test_a_download_that_hangs_is_given_up(tmp_path, monkeypatch):
    def run(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(wheel_files.subprocess, "run", run)
    with pytest.raises(WheelDownloadError, match="longer than 300 s"):
        pip_download(WHEEL, tmp_path)


MUG = "shop/static/mug.png"


def test_a_single_large_file_is_taken_kept_and_not_downloaded_twice(tmp_path):
    asked = []
    place = fetch_file(WHEEL, tmp_path, MUG, shelf(GOOD, asked))
    assert place.read_bytes() == b"mug"
    assert fetch_file(WHEEL, tmp_path, MUG, shelf(GOOD, asked)) == place
    place.write_bytes(b"mu")
    assert fetch_file(WHEEL, tmp_path, MUG, shelf(GOOD, asked)).read_bytes() == b"mug"
    assert asked == ["shop", "shop"]
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [place]


@pytest.mark.parametrize(
    ("contents", "says"), [(GOOD | {MUG: b"jug"}, "another file"), ({"a": b""}, "lacks a file")]
)
def test_another_large_file_is_refused_and_not_kept(tmp_path, contents, says):
    with pytest.raises(WheelDownloadError, match=says):
        fetch_file(WHEEL, tmp_path, MUG, shelf(contents, []))
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


def test_a_download_tells_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(wheel_files, "_POLL_SECONDS", 0.001)
    wheel, told, enough = replace(WHEEL, size=1000), [], threading.Event()

    def tell(share):
        told.append(share)
        if share == 0.25:
            enough.set()

    def download(wheel, folder):
        (folder / "half").mkdir()
        (folder / "half" / "there").write_bytes(bytes(250))
        assert enough.wait(10)
        shelf(GOOD, [])(wheel, folder)

    fetch_file(wheel, tmp_path, MUG, download, tell)
    assert 0.25 in told
    assert all(0 <= share <= 1 for share in told)
