"""A theme goes to another shop as one file, with its scenes."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photopipe_dagster.core.errors import ConflictError, InvalidRecordError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.scenes import add_scene
from photopipe_dagster.operations.theme_files import export_theme, import_theme
from photopipe_dagster.operations.themes import create_theme
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.record import as_file
from photopipe_dagster_tests.support.ledgers import new_ledger

OURS = replace(THEMES["kitchen"], name="ours", local_scene="kitchen", scenes=("table",))


class Shop:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        new_ledger(folder)
        self.settings = Settings(_env_file=None, data_dir=folder)
        self.ledger = Ledger(self.settings.ledger_url)
        self.store: ObjectStore = object_store(self.settings)

    def take(self, data: bytes, name: str | None = None) -> str:
        services = self.settings, self.ledger, self.store
        return import_theme(*services, data, by="Eva", name=name).theme.name

    def add_scene(self, seed: int) -> bytes:
        noise = np.random.default_rng(seed).integers(0, 255, (700, 900, 3), np.uint8)
        picture = encode_jpeg(noise)
        said = {"ground": 0.8, "azimuth": 60.0}
        add_scene(self.ledger, self.store, "table", picture, by="Ann", said=said, approve=True)
        return picture


@pytest.fixture
def shops(tmp_path: Path) -> Iterator[tuple[Shop, Shop]]:
    ours, theirs = Shop(tmp_path / "ours"), Shop(tmp_path / "theirs")
    yield ours, theirs
    ours.ledger.close()
    theirs.ledger.close()


@pytest.fixture
def archive(shops: tuple[Shop, Shop]) -> bytes:
    ours, _ = shops
    ours.add_scene(1)
    create_theme(ours.settings, ours.ledger, OURS, by="Ann")
    return export_theme(ours.ledger, ours.store, "ours").data


def changed(archive: bytes, **files: bytes | None) -> bytes:
    """An archive with other files, or without some."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w") as new:
        contents = {name: old.read(name) for name in old.namelist()}
        given = {name.replace("__", "/").replace("_", "."): data for name, data in files.items()}
        for name, data in (contents | given).items():
            if data is not None:
                new.writestr(name, data)
    return made.getvalue()


def test_a_theme_goes_to_another_shop_with_its_scenes(shops, archive):
    ours, theirs = shops
    assert export_theme(ours.ledger, ours.store, "ours").data == archive
    assert theirs.take(archive) == "ours"
    [one], [other] = (shop.ledger.scenes.newest() for shop in shops)
    assert (other.view, other.picture.digest) == (one.view, one.picture.digest)
    stored = theirs.store.get(other.object_key)
    assert stored is not None
    assert theirs.ledger.themes.all()[0].theme == OURS
    assert theirs.take(archive, "again") == "again"
    assert len(theirs.ledger.scenes.newest()) == 1
    with pytest.raises(ConflictError, match="a theme ours already"):
        theirs.take(archive)


def test_a_theme_without_scenes_is_json(shops):
    ours, theirs = shops
    file = export_theme(ours.ledger, ours.store, "luxury")
    assert (file.data, file.suffix) == (as_file(THEMES["luxury"]), "json")
    assert theirs.take(file.data, "night") == "night"


def test_a_scene_of_the_shop_is_never_replaced(shops, archive):
    _, theirs = shops
    picture = theirs.add_scene(2)
    with pytest.raises(ConflictError, match="a scene table already"):
        theirs.take(archive)
    [scene] = theirs.ledger.scenes.newest()
    stored = theirs.store.get(scene.object_key)
    assert stored is not None
    assert stored.data == picture
    assert theirs.ledger.themes.all() == ()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"theme_json": None}, r"no theme\.json"),
        ({"theme_json": b"{}"}, "format"),
        ({"scenes__table_json": None}, r"no scenes/table\.json"),
        ({"scenes__table_json": b'{"view": 1}'}, "view"),
        ({"scenes__table_jpg": None}, "no picture of the scene table"),
        ({"scenes__table_jpg": b"<svg/>"}, r"scenes/table\.jpg: "),
        ({"scenes__table_png": b"x"}, "or several"),
        ({"scenes__table_jpg": encode_jpeg(np.zeros((600, 600, 3), np.uint8))}, "600 × 600"),
        ({"theme_json": b" " * 200_000}, r"theme\.json .* more than"),
    ],
)
def test_an_archive_that_is_none_makes_nothing(shops, archive, files, says):
    _, theirs = shops
    with pytest.raises(InvalidRecordError, match=says):
        theirs.take(changed(archive, **files))
    assert theirs.ledger.themes.all() == ()
    assert theirs.ledger.scenes.newest() == []


def test_a_theme_that_cannot_be_leaves_no_scene(shops, archive):
    _, theirs = shops
    paid = as_file(replace(OURS, background="freepik"))
    with pytest.raises(InvalidRecordError, match="background"):
        theirs.take(changed(archive, theme_json=paid))
    assert theirs.ledger.scenes.newest() == []


def packed(how: int = zipfile.ZIP_DEFLATED, size: int = 20_000_000) -> bytearray:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as new:
        new.writestr("theme.json", bytes(size))
    return bytearray(made.getvalue())


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_file_that_claims_to_be_small_is_not_unpacked_whole(shops, how):
    data = packed(how)
    of_size = data.rfind(b"PK\x01\x02") + 24
    data[of_size : of_size + 4] = (10).to_bytes(4, "little")
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRecordError, match="cannot be read"):
            shops[1].take(bytes(data))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def _many() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for number in range(1001):
            new.writestr(f"{number}", b"")
    return made.getvalue()


def _misnamed() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        new.writestr("théme.json", b"")
    return made.getvalue().replace("é".encode(), b"\xff\xfe")


@pytest.mark.parametrize("data", [_misnamed(), _many()])
def test_an_archive_of_nonsense_is_refused(shops, data):
    with pytest.raises(InvalidRecordError, match="damaged"):
        shops[1].take(data)


def test_a_damaged_file_in_an_archive_is_refused(shops):
    data = packed(size=5000)
    start = data.find(b"theme.json") + len(b"theme.json")
    data[start : start + 8] = b"\xff" * 8
    with pytest.raises(InvalidRecordError, match="cannot be read"):
        shops[1].take(bytes(data))


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"PK\x03\x04" + b"x" * 1000])
def test_a_damaged_archive_is_refused(shops, data):
    with pytest.raises(InvalidRecordError, match="damaged"):
        shops[1].take(data)
