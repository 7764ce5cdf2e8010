import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.demo import photos
from photopipe_dagster.demo.photos import (
    SUBJECTS,
    demo_photos,
    photograph,
    studio_paper,
)
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.net.wheel_files import Wheel, WheelDownloadError
from photopipe_dagster.themes.builtin import THEMES


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_the_subjects_are_eight_different_products_that_the_pipeline_accepts():
    assert len(SUBJECTS) >= 8
    assert len({subject.sku for subject in SUBJECTS}) == len(SUBJECTS)
    assert len({subject.file for subject in SUBJECTS}) == len(SUBJECTS)
    for subject in SUBJECTS:
        PhotoKey(subject.sku, "0" * 64, subject.theme)
        assert subject.theme in THEMES
        assert subject.theme != "default"
    wanted = {subject.file for subject in SUBJECTS}
    assert wanted == {path for wheel in photos.WHEELS for path in wheel.files}


def test_transparency_becomes_light_paper_and_the_product_keeps_its_pixels():
    product = Image.new("RGBA", (200, 160), (0, 0, 0, 0))
    product.paste((200, 30, 30, 255), (60, 40, 140, 120))
    made = photograph(png(product))
    info = inspect(made)
    assert (info.format, info.width, info.height) == ("JPEG", 200, 160)
    pixels = np.asarray(Image.open(io.BytesIO(made)))
    assert np.abs(pixels[80, 100].astype(int) - (200, 30, 30)).max() <= 3
    assert pixels[4, 4].min() > 180


def test_an_opaque_picture_keeps_its_ground():
    made = photograph(png(Image.new("RGB", (64, 64), (10, 120, 60))))
    pixels = np.asarray(Image.open(io.BytesIO(made))).astype(int)
    assert np.abs(pixels - (10, 120, 60)).max() <= 3


def test_the_same_picture_gives_the_same_photo():
    picture = png(Image.new("RGBA", (90, 70), (9, 9, 9, 90)))
    assert photograph(picture) == photograph(picture)


def test_the_paper_is_brightest_behind_the_product():
    paper = np.asarray(studio_paper(120, 120)).astype(float)
    assert paper[50:60, 55:65].mean() > paper[-10:, :10].mean() + 10


def test_photos_come_in_order_with_their_subjects(tmp_path, monkeypatch):
    pictures = {
        subject.file: png(Image.new("RGB", (64, 64), (20 * number, 0, 0)))
        for number, subject in enumerate(SUBJECTS)
    }
    asked = []

    def fetched(wheel, cache, download):
        asked.append(wheel.name)
        return {path: pictures[path] for path in wheel.files}

    monkeypatch.setattr(photos, "fetch", fetched)
    found = demo_photos(tmp_path)
    assert [photo.subject for photo in found] == list(SUBJECTS)
    for number, photo in enumerate(found):
        red = np.asarray(Image.open(io.BytesIO(photo.jpeg)))[..., 0].mean()
        assert red == pytest.approx(20 * number, abs=3)
    assert asked == ["saleor", "scikit-image"]


def test_a_wheel_with_other_pictures_is_refused(tmp_path):
    def download(wheel: Wheel, folder):
        with zipfile.ZipFile(folder / "x.whl", "w") as archive:
            for path in wheel.files:
                archive.writestr(path, b"something else")

    with pytest.raises(WheelDownloadError, match=r"saleor 2\.10\.1"):
        demo_photos(tmp_path, download)
