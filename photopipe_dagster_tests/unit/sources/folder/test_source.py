"""A folder that is polled: real files, a real ledger, a real store."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import re
import zipfile
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import ConfigurationError, NetworkError, PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.source_files import FileState, SourceFile
from photopipe_dagster.operations import tray
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.sources.base import SourceContext
from photopipe_dagster.sources.folder import source as folder_source
from photopipe_dagster.sources.folder.plugin import Plugin
from photopipe_dagster.sources.intake import Accepted, Intake
from photopipe_dagster.sources.polling import Poller, PollReport
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.world import photo_of_a_mug

PLUGIN = Plugin()


def mug(number: int) -> bytes:
    return photo_of_a_mug(number, size=96)


def bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", b"\0" * 10_000_000)
    return packed.getvalue()


class Folder:
    """A folder with a ledger that polls it."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "photos"
        self.root.mkdir()
        self.settings = Settings(
            _env_file=None,
            data_dir=tmp_path,
            folder_source=self.root,
            folder_source_quiet_seconds=0,
        )
        new_ledger(tmp_path)
        self.ledger = Ledger(self.settings.ledger_url)
        self.store = object_store(self.settings)
        self.refreshed = 0
        self.found_by_refresh: list[str] = []

    def has(self, *skus: str) -> None:
        rows = [{"sku": sku, "barcode": None, "title": None} for sku in skus]
        self.ledger.catalogue.replace_skus(rows)

    def put(self, name: str, data: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    async def refresh(self) -> bool:
        self.refreshed += 1
        if self.found_by_refresh:
            self.has(*self.found_by_refresh)
        return bool(self.found_by_refresh)

    def poll(self, **changed: object) -> PollReport:
        settings = self.settings.model_copy(update=changed)

        async def run() -> PollReport:
            async with PhotoFetcher(settings) as photos:
                intake = Intake(settings, self.ledger, self.store, photos.fetch)
                source = photos.source(PLUGIN)
                return await Poller(
                    PLUGIN,
                    PLUGIN.polling,
                    source,
                    intake,
                    self.ledger,
                    settings,
                    refresh=self.refresh,
                ).poll()

        return asyncio.run(run())

    def give(self, file: SourceFile, sku: str) -> Accepted:
        giving = tray.give_sku(self.settings, self.ledger, self.store, file.id, sku, by="Ann")
        return asyncio.run(giving)

    @property
    def skus(self) -> list[str]:
        return sorted(job.key.sku for job in self.ledger.jobs.find(JobQuery(), limit=1000))

    @property
    def tray(self) -> dict[str, SourceFile]:
        return {file.name: file for file in self.ledger.source_files.waiting(limit=1000)}

    @property
    def files(self) -> list[str]:
        found = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path)
    made.has("MUG-1", "MUG-1-XL", "CUP")
    yield made
    made.ledger.close()


def test_files_become_jobs_go_to_done_and_a_second_look_makes_none(folder):
    folder.put("MUG-1_front.jpg", mug(1))
    folder.put("autumn/MUG-1-XL-2.jpg", mug(2))
    folder.put("CUP.jpg", mug(3))
    report = folder.poll()
    assert (report.seen, report.created, report.waiting, report.complete) == (3, 3, 0, True)
    assert folder.skus == ["CUP", "MUG-1", "MUG-1-XL"]
    assert folder.files == ["done/CUP.jpg", "done/MUG-1_front.jpg", "done/autumn/MUG-1-XL-2.jpg"]
    assert folder.refreshed == 0
    assert folder.poll().seen == 0
    folder.put("CUP.jpg", mug(3))  # the same photo once more
    assert folder.poll().created == 0
    folder.put("CUP.jpg", mug(4))  # another one of the same name
    assert folder.poll().created == 1
    assert [name for name in folder.files if "CUP" in name] == [
        "done/CUP (2).jpg",
        "done/CUP (3).jpg",
        "done/CUP.jpg",
    ]


def test_what_matches_nothing_waits_and_is_taken_when_the_shop_has_its_sku(folder):
    folder.put("LAMP_1.jpg", mug(1))
    folder.put("mug-1.jpg", mug(2))
    assert folder.poll().waiting == 2
    assert folder.tray.keys() == {"LAMP_1.jpg", "mug-1.jpg"}
    assert folder.files == ["LAMP_1.jpg", "mug-1.jpg"]
    folder.found_by_refresh = ["LAMP", "MUG-1"]
    report = folder.poll()
    assert (report.created, report.waiting, folder.refreshed) == (1, 1, 2)
    assert (folder.skus, folder.tray.keys()) == (["LAMP"], {"mug-1.jpg"})


def test_a_renamed_file_leaves_the_tray(folder):
    path = folder.put("IMG_1.jpg", mug(1))
    folder.poll()
    path.rename(path.with_name("CUP_1.jpg"))
    assert folder.poll().created == 1
    assert folder.tray == {}


def test_a_person_gives_a_sku_or_drops_a_file(folder):
    path = folder.put("IMG_1.jpg", mug(1))
    folder.put("IMG_2.jpg", mug(2))
    folder.poll()
    first, second = folder.tray["IMG_1.jpg"], folder.tray["IMG_2.jpg"]
    given = folder.give(first, " CUP ")
    assert (given.key.sku, given.created, folder.skus) == ("CUP", True, ["CUP"])
    folder.ledger.source_files.drop(second.id, by="Ann")
    assert folder.tray == {}
    assert (folder.poll().created, folder.files) == (0, ["IMG_2.jpg", "done/IMG_1.jpg"])
    path.with_name("IMG_2.jpg").write_bytes(mug(3))
    folder.poll()
    assert folder.tray.keys() == {"IMG_2.jpg"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bomb(), "JPEG, PNG or WebP"),
        (b"", "JPEG, PNG or WebP"),
        (mug(1)[:1500], "transferred in full"),
    ],
)
def test_what_is_no_photo_waits_is_read_once_and_taken_when_it_is_one(
    folder, monkeypatch, data, said
):
    path = folder.put("CUP.jpg", data)
    folder.put("MUG-1.jpg", mug(2))
    report = folder.poll()
    assert (report.created, report.waiting) == (1, 1)
    file = folder.tray["CUP.jpg"]
    assert file.state is FileState.REFUSED
    assert re.search(said, str(file.reason))
    with pytest.raises(PhotoRejectedError, match=said):
        folder.give(file, "CUP")
    read = []
    monkeypatch.setattr(folder_source.FolderSource, "_read", lambda _, ref: read.append(ref))
    assert (folder.poll().waiting, read) == (1, [])
    monkeypatch.undo()
    path.write_bytes(mug(3))
    assert (folder.poll().created, folder.tray) == (1, {})


def _link_of_file(path: Path, outside: Path) -> None:
    path.unlink()
    path.symlink_to(outside / path.name)


def _link_of_folder(path: Path, outside: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(outside)


def _pipe(path: Path, outside: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("becomes", [_link_of_file, _link_of_folder, _pipe])
def test_a_file_that_becomes_a_link_or_a_pipe_is_not_read(folder, tmp_path, becomes):
    """It waits in the tray for days, and others may write to the folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(mug(9))
    path = folder.put("new/secret.jpg", mug(1))
    folder.poll()
    [file] = folder.tray.values()
    becomes(path, outside)
    with pytest.raises(PhotoRejectedError, match="link"):
        folder.give(file, "CUP")
    assert folder.skus == []


def test_a_file_that_has_changed_a_moment_ago_is_left(folder):
    folder.put("CUP.jpg", mug(1))
    for name in (".CUP.jpg", "CUP.jpg.part", "Thumbs.db", "~$CUP.jpg"):
        folder.put(name, mug(2))
    assert folder.poll(folder_source_quiet_seconds=60).seen == 0
    assert folder.poll().seen == 1


def test_a_file_that_is_written_while_it_is_read_is_taken_later(folder, monkeypatch):
    path = folder.put("CUP.jpg", mug(1))
    fstat, seen = os.fstat, []

    def grow(descriptor):
        seen.append(descriptor)
        if len(seen) == 2:
            path.write_bytes(mug(1) + b"more")
        return fstat(descriptor)

    monkeypatch.setattr(folder_source.os, "fstat", grow)
    with pytest.raises(NetworkError, match="being written"):
        folder.poll()
    monkeypatch.undo()
    assert (folder.skus, folder.poll().created) == ([], 1)


def test_a_file_that_has_changed_after_it_was_read_is_not_moved(folder, tmp_path):
    path = folder.put("CUP.jpg", mug(1))

    async def run():
        source = PLUGIN.open(SourceContext(folder.settings))
        [page] = [page async for page in source.list_since(None)]
        await source.fetch(page[0].ref)
        path.write_bytes(mug(2))
        await source.acknowledge(page[0])

    asyncio.run(run())
    assert path.exists()


def test_done_may_be_on_another_drive_and_names_may_be_long(folder, monkeypatch):
    name = "CUP_" + "é" * 123 + ".jpg"
    assert len(os.fsencode(name)) in (254, 255)

    def rename(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(folder_source.Path, "rename", rename)
    for number in (1, 2):
        folder.put(name, mug(number))
        assert folder.poll().created == 1
    assert all(name.startswith("done/") for name in folder.files)
    moved = [folder.root / name for name in folder.files]
    assert sorted(path.read_bytes() for path in moved) == sorted((mug(1), mug(2)))


def test_a_process_that_died_before_it_moved_a_file_reads_it_no_more(folder, monkeypatch):
    folder.put("CUP.jpg", mug(1))
    monkeypatch.setattr(folder_source.FolderSource, "_move", lambda *_: None)
    assert folder.poll().created == 1
    monkeypatch.undo()
    monkeypatch.setattr(folder_source.FolderSource, "_read", None)
    assert (folder.poll().created, folder.files) == (0, ["done/CUP.jpg"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_and_files_without_rights_are_told(folder):  # pragma: no cover
    folder.put("CUP.jpg", mug(1)).chmod(0)
    closed = folder.put("closed/CUP.jpg", mug(2)).parent
    closed.chmod(0)
    try:
        assert (folder.poll().waiting, folder.poll().rejected) == (1, 1)
    finally:
        closed.chmod(0o700)


def test_a_folder_that_cannot_be_read_is_told_once_and_stops_nobody(folder, monkeypatch):
    folder.put("CUP.jpg", mug(1))
    folder.put("closed/CUP.jpg", mug(2))
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for created in (1, 0):
        report = folder.poll()
        assert (report.created, report.rejected) == (created, 1)
    [kept] = folder.ledger.watermarks.rejections()
    assert "closed cannot be read: Permission denied" in kept.reason


def test_a_drive_that_is_not_there_is_told_and_nothing_is_forgotten(folder):
    folder.put("IMG.jpg", mug(1))
    folder.poll()
    with pytest.raises(ConfigurationError, match="mounted"):
        folder.poll(folder_source=folder.root / "none")
    assert folder.tray.keys() == {"IMG.jpg"}


def test_a_poll_with_many_files_ends_in_time_and_the_next_one_goes_on(folder, monkeypatch):
    monkeypatch.setattr(folder_source, "_FILES_A_PAGE", 1)
    for number in range(3):
        folder.put(f"CUP-{number}.jpg", mug(number))
    monkeypatch.setattr(Poller, "__init__", _hurried(Poller.__init__))
    for left in (2, 1):
        report = folder.poll()
        assert (report.created, report.complete) == (1, False)
        assert len([name for name in folder.files if not name.startswith("done")]) == left


def _hurried(init):
    def with_no_time(self, *args, **named):
        init(self, *args, **named, seconds=-1)

    return with_no_time


def test_names_that_are_no_text_are_shown_and_taken(folder):
    folder.put(os.fsdecode(b"CUP_\xff.jpg"), mug(1))
    assert folder.poll().created == 1


def test_it_is_off_where_no_folder_is_set():
    bare = Settings(_env_file=None)
    PLUGIN.check(bare)
    assert "FOLDER_SOURCE" in str(PLUGIN.schedule(bare).off)
    with pytest.raises(ConfigurationError, match="FOLDER_SOURCE"):
        PLUGIN.open(SourceContext(bare))
