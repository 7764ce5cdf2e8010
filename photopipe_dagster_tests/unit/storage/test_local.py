"""What is the local store's own: crashes, disks, hands of people, signed URLs of the API."""

from __future__ import annotations

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from photopipe_dagster.core.errors import StorageError
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.signing import UrlSigner
from photopipe_dagster_tests.unit.storage.conftest import SECRET

KEY = "masks/A%2FB/abc.png"


class Killed(BaseException):
    """What a killed process does not handle."""


def root(local: LocalStore, tmp_path: Path) -> Path:
    return tmp_path / "objects"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("step", ["replace", "fsync", "utime"])
@pytest.mark.parametrize("death", [Killed, OSError(errno.EIO, "Input/output error")])
def test_a_crash_at_any_step_leaves_the_old_object_with_its_metadata(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch, step: str, death: BaseException
) -> None:
    local.put(KEY, b"old", content_type="image/png", metadata={"recipe": "old"})

    def fail(*_: object, **__: object) -> None:
        raise death

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises((Killed, StorageError)):
            local.put(KEY, b"new", content_type="image/jpeg", metadata={"recipe": "new"})
    found = local.get(KEY)
    assert found is not None
    assert found.data == b"old"
    assert (found.info.content_type, found.info.metadata) == ("image/png", {"recipe": "old"})


def test_a_crash_at_any_sync_leaves_one_whole_object(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.fsync
    seen = set()
    for survived in range(5):
        local.put(KEY, b"old", content_type="image/png", metadata={"recipe": "old"})
        calls = iter(range(100))

        def die_later(descriptor: int, calls=calls, survived=survived) -> None:
            if next(calls) == survived:
                raise Killed
            really(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", die_later)
            with suppress(Killed):
                local.put(KEY, b"new!", content_type="image/png", metadata={"recipe": "new!"})
        found = local.get(KEY)
        assert found is not None
        assert found.info.metadata == {"recipe": found.data.decode()}
        assert found.info == local.head(KEY)
        seen.add(found.data)
    assert seen == {b"old", b"new!"}


def test_a_failed_first_put_leaves_nothing(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, full)
            with pytest.raises(StorageError, match="disk is full") as raised:
                local.put(KEY, b"x", content_type="image/png")
        assert raised.value.retryable
        assert raised.value.details["errno"] == "ENOSPC"
        assert local.head(KEY) is None
        assert files(root(local, tmp_path)) == []


def test_old_descriptions_are_removed(local: LocalStore, tmp_path: Path) -> None:
    for number in range(3):
        local.put(KEY, bytes(number), content_type="image/png")
    assert len(files(root(local, tmp_path))) == 2
    local.delete(KEY)
    assert files(root(local, tmp_path)) == []


def test_objects_are_ordinary_files(local: LocalStore, tmp_path: Path) -> None:
    local.put(KEY, b"picture", content_type="image/png")
    assert (root(local, tmp_path) / KEY).read_bytes() == b"picture"


def test_a_file_changed_by_hand_has_no_metadata_but_is_there(
    local: LocalStore, tmp_path: Path
) -> None:
    local.put(KEY, b"paid", content_type="image/jpeg", metadata={"recipe": "1"})
    (root(local, tmp_path) / KEY).write_bytes(b"mine")
    found = local.get(KEY)
    assert found is not None
    assert found.data == b"mine"
    assert (found.info.content_type, found.info.metadata) == ("image/png", {})
    assert local.head(KEY) == found.info


def test_a_file_put_by_hand_is_an_object(local: LocalStore, tmp_path: Path) -> None:
    path = root(local, tmp_path) / "originals/x"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"?")
    info = local.head("originals/x")
    assert info is not None
    assert (info.content_type, info.metadata) == ("application/octet-stream", {})
    assert [info.key for info in local.list("")] == ["originals/x"]


def test_a_folder_restored_without_times_keeps_its_metadata(
    local: LocalStore, tmp_path: Path
) -> None:
    local.put(KEY, b"paid", content_type="image/jpeg", metadata={"recipe": "1"})
    shutil.copytree(root(local, tmp_path), tmp_path / "copy", copy_function=shutil.copyfile)
    copy = LocalStore(tmp_path / "copy", "http://x", UrlSigner(SECRET))
    found = copy.get(KEY)
    assert found is not None
    assert found.info.metadata == {"recipe": "1"}
    assert copy.head(KEY) == found.info


@pytest.mark.parametrize("content", [b"", b"[]", b'{"size": 4}', b"\xff"])
def test_a_broken_description_is_no_description(
    local: LocalStore, tmp_path: Path, content: bytes
) -> None:
    local.put(KEY, b"paid", content_type="image/jpeg", metadata={"recipe": "1"})
    for sidecar in (root(local, tmp_path) / ".photopipe/objects").rglob("*.json"):
        sidecar.write_bytes(content)
    info = local.head(KEY)
    assert info is not None
    assert info.metadata == {}


def test_a_folder_is_no_object(local: LocalStore) -> None:
    local.put(KEY, b"x", content_type="image/png")
    assert local.head("masks") is None
    assert local.get("masks/A%2FB") is None
    assert local.head(f"{KEY}/below") is None
    local.delete("masks")
    assert local.head(KEY) is not None


@pytest.mark.parametrize("key", ["masks", f"{KEY}/below", "a" * 300])
def test_what_is_in_the_way_is_an_error(local: LocalStore, key: str, tmp_path: Path) -> None:
    local.put(KEY, b"x", content_type="image/png")
    with pytest.raises(StorageError, match="Cannot store") as raised:
        local.put(key, b"x", content_type="image/png")
    assert not raised.value.retryable
    assert len(files(root(local, tmp_path))) == 2


def test_a_root_that_is_no_folder_is_not_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = LocalStore(tmp_path / "file", "http://x", UrlSigner(SECRET))
    for call in (lambda: store.head(KEY), lambda: list(store.list("masks/")), store.check):
        with pytest.raises(StorageError, match="in the way"):
            call()


@pytest.mark.parametrize(
    ("number", "advice", "retryable"),
    [
        (errno.EACCES, "read and write this folder", False),
        (errno.EROFS, "read and write this folder", False),
        (errno.EMFILE, "ulimit", True),
        (errno.EIO, "check the disk", True),
    ],
)
def test_an_access_error_never_reads_as_missing(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int, advice: str, retryable: bool
) -> None:
    local.put(KEY, b"x", content_type="image/png")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    for name, call in {
        "stat": lambda: local.head(KEY),
        "open": lambda: local.get(KEY),
        "unlink": lambda: local.delete(KEY),
        "read_bytes": lambda: local.check(),
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, refuse)
            with pytest.raises(StorageError, match=advice) as raised:
                call()
        assert raised.value.retryable is retryable
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        with pytest.raises(StorageError, match=advice):
            list(local.list("masks/"))


def test_a_reader_whose_object_never_stands_still_gives_up(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.put(KEY, b"x", content_type="image/png")
    monkeypatch.setattr("photopipe_dagster.storage.local._open_version", lambda *_: None)
    with pytest.raises(StorageError, match="was replaced") as raised:
        local.get(KEY)
    assert raised.value.retryable


def test_check_notices_a_disk_that_forgets(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _: b"other")
    with pytest.raises(StorageError, match="does not return what was written"):
        local.check()
    assert files(root(local, tmp_path)) == []


def test_fifty_threads_see_metadata_switch_with_the_bytes(local: LocalStore) -> None:
    def write(number: int) -> None:
        metadata = {"n": str(number)}
        local.put(KEY, bytes([number]) * 2000, content_type="image/png", metadata=metadata)

    def read(_: int) -> None:
        found = local.get(KEY)
        info = local.head(KEY)
        assert found is not None
        assert info is not None
        assert found.data == bytes([int(found.info.metadata["n"])]) * 2000
        assert info.metadata

    write(0)
    with ThreadPoolExecutor(50) as pool:
        jobs = [pool.submit(write if n % 2 else read, n) for n in range(250)]
    for job in jobs:
        job.result()


def test_leftovers_of_killed_processes_can_be_removed(
    local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            local.put(KEY, b"x", content_type="image/png")
    assert len(files(root(local, tmp_path))) == 1
    assert local.remove_leftovers() == 0
    assert local.remove_leftovers(timedelta(seconds=-5)) == 1
    assert files(root(local, tmp_path)) == []


def test_signed_urls_are_what_the_api_verifies(tmp_path: Path) -> None:
    signer = UrlSigner(SECRET, clock=lambda: 1000.0)
    store = LocalStore(tmp_path, "https://photos.example/", signer)
    get = urlsplit(store.presign_get(KEY, 60))
    assert (get.scheme, get.netloc, unquote(get.path)) == (
        "https",
        "photos.example",
        f"/files/{KEY}",
    )
    query = {name: values[0] for name, values in parse_qs(get.query).items()}
    assert sorted(query) == ["expires", "method", "signature"]
    assert (query["method"], query["expires"]) == ("GET", "1060")
    assert signer.verify("GET", KEY, 1060, query["signature"])

    put = parse_qs(urlsplit(store.presign_put(KEY, 60, content_type="image/png")).query)
    assert put["method"] == ["PUT"]
    assert signer.verify("PUT", KEY, 1060, put["signature"][0], "image/png")
    assert not signer.verify("PUT", KEY, 1060, put["signature"][0], "text/html")


def test_its_name_shows_no_secret(local: LocalStore, tmp_path: Path) -> None:
    assert repr(local) == f"LocalStore('{tmp_path / 'objects'}')"
