"""The local provider through the providers' protocol."""

import asyncio
import io
import threading
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.errors import (
    ConfigurationError,
    ErrorCode,
    PhotoRejectedError,
    ProviderError,
)
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.segmentation import cutout
from photopipe_dagster.imaging.segmentation.agreement import Doubts
from photopipe_dagster.imaging.segmentation.model import (
    LARGE_SHA256,
    SHA256,
    large_model_file,
    model_file,
)
from photopipe_dagster.providers.base import BackgroundRequest, Original
from photopipe_dagster.providers.local import provider
from photopipe_dagster.providers.local.provider import LocalProvider
from photopipe_dagster.providers.local.scenes import render
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.unit.providers.cutouts import image_of
from photopipe_dagster_tests.unit.providers.local import drawn


class Untouched:
    """A purchase that nothing may be bought with."""

    reference = None

    async def submitted(self, reference):
        raise AssertionError("the local provider buys nothing")


def settings(data_dir, **changes):
    return Settings(_env_file=None, data_dir=data_dir, **changes)


@pytest.fixture
def data_dir(tmp_path, model_path):
    """A folder of data with the small network in it, as if it had been fetched."""
    place = model_file(tmp_path / "models")
    place.parent.mkdir(parents=True)
    place.symlink_to(model_path)
    return tmp_path


@pytest.fixture
async def local(data_dir):
    made = LocalProvider(settings(data_dir), workers=2)
    yield made
    await made.aclose()


def original(data, width=drawn.SIZE, height=drawn.SIZE):
    return Original(data, "image/jpeg", width, height, signed_url=lambda: "")


def mug():
    return drawn.photo(drawn.shape(drawn.mug), (30, 60, 140), drawn.studio())


def request(name="minimal", seed=3):
    return BackgroundRequest(THEMES[name], 320, 256, seed)


async def test_a_photo_becomes_a_cutout_of_its_displayed_size(local):
    upright = mug()[:500]
    image, file = Image.fromarray(np.rot90(upright)), io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    image.save(file, "JPEG", quality=95, exif=exif)
    cut = await local.remove_background(original(file.getvalue(), 600, 500), Untouched())
    picture = image_of(cut)
    assert (picture.mode, picture.size) == ("RGBA", (600, 500))
    alpha = np.asarray(picture)[..., 3].astype(np.float32) / 255
    assert drawn.iou(alpha, drawn.shape(drawn.mug)[:500]) > 0.985


async def test_a_cut_out_tells_how_it_was_made(local):
    cut = await local.remove_background(original(drawn.jpeg(mug())), Untouched())
    assert cut.model == f"u2net/{SHA256[:12]}"
    assert cut.metadata["raw_maximum"] > 0.5
    assert cut.metadata["coverage"] == pytest.approx(drawn.shape(drawn.mug).mean(), rel=0.03)
    assert cut.metadata["seconds"] > 0
    assert 0 <= cut.metadata["disagreement"] < 0.1
    assert 0 <= cut.metadata["ground_share"] < 0.05
    assert cut.metadata["raw_iou"] > 0.9
    assert cut.metadata["witness_iou"] > 0.9
    assert local.cutout_parameters() == {"model": SHA256, "algorithm": cutout.VERSION}


async def test_everything_is_free(local):
    assert local.cutout_price() == Decimal(0)
    assert local.background_price(request()) == Decimal(0)


async def test_the_same_photo_gives_the_same_bytes(local):
    photo = original(drawn.jpeg(mug()))
    first, second = await asyncio.gather(
        *(local.remove_background(photo, Untouched()) for _ in range(2))
    )
    assert image_of(first).tobytes() == image_of(second).tobytes()


async def test_an_empty_picture_has_no_product(local):
    blank = drawn.jpeg(np.full((300, 300, 3), 240, np.uint8))
    with pytest.raises(ProviderError) as caught:
        await local.remove_background(original(blank, 300, 300), Untouched())
    assert caught.value.code is ErrorCode.SEGMENTATION_ERROR
    assert not caught.value.retryable


async def test_what_is_no_photo_is_rejected(local):
    with pytest.raises(PhotoRejectedError):
        await local.remove_background(original(b"no photo"), Untouched())


async def test_photos_above_the_limit_are_rejected(data_dir):
    small = LocalProvider(settings(data_dir, image_max_pixels=1000))
    with pytest.raises(PhotoRejectedError):
        await small.remove_background(original(drawn.jpeg(mug())), Untouched())
    await small.aclose()


async def test_never_more_at_once_than_there_are_workers(local, monkeypatch):
    running, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(2, timeout=10)

    def counted(request):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        full.wait()
        with lock:
            running -= 1

    monkeypatch.setattr(provider, "_render", counted)
    await asyncio.gather(*(local.generate_background(request(), Untouched()) for _ in range(6)))
    assert most == 2


def test_one_provider_serves_several_event_loops(data_dir):
    shared = LocalProvider(settings(data_dir), workers=1)

    async def both():
        return await asyncio.gather(
            *(shared.generate_background(request(), Untouched()) for _ in range(2))
        )

    first, second = asyncio.run(both()), asyncio.run(both())
    assert first[0].data == second[1].data
    asyncio.run(shared.aclose())


async def test_a_background_is_the_themes_scene_as_jpeg(local):
    made = await local.generate_background(request("kitchen"), Untouched())
    picture = Image.open(io.BytesIO(made.data))
    assert (picture.format, picture.size) == ("JPEG", (320, 256))
    assert {part[1:3] for part in picture.layer} == {(1, 1)}, "colour is not at full resolution"
    assert made.content_type == "image/jpeg"
    other = await local.generate_background(request("kitchen", seed=4), Untouched())
    assert other.data != made.data


async def test_all_that_decides_a_background_is_in_its_parameters(local):
    parameters = local.background_parameters(request())
    assert parameters["theme"] == "minimal"
    assert parameters["size"] == "320x256"
    assert local.background_parameters(request(seed=4)) != parameters
    assert local.background_parameters(request("luxury")) != parameters


async def test_a_theme_that_names_its_looks_has_backgrounds_of_its_own(local):
    every = request("kitchen")
    sage = replace(every, theme=replace(every.theme, looks=("sage",)))
    assert "looks" not in local.background_parameters(every)
    assert local.background_parameters(sage) != local.background_parameters(every)
    made = await local.generate_background(sage, Untouched())
    expected = render("kitchen", 320, 256, 3, ["sage"])
    assert made.data == encode_jpeg(expected, quality=92, full_colour=True)


async def test_settings_decide_where_the_model_is(tmp_path, model_path):
    made = LocalProvider(settings(tmp_path, cutout_model_path=model_path))
    await made.remove_background(original(drawn.jpeg(mug())), Untouched())
    assert made.cutout_parameters()["model"] == SHA256
    assert not (tmp_path / "models").exists()
    await made.aclose()


async def test_the_large_network_cuts_out_with_the_small_one_as_witness(
    tmp_path, model_path, monkeypatch, caplog
):
    # The small one plays both parts: what matters is who is asked, and what the recipe says.
    large = large_model_file(tmp_path / "models")
    small = LocalProvider(settings(tmp_path))
    assert "`photopipe doctor` fetches the large one" in caplog.text
    large.parent.mkdir(parents=True)
    large.symlink_to(model_path)
    monkeypatch.setattr(provider, "ensure_model", lambda _: model_path)
    monkeypatch.setattr(provider, "ensure_large_model", lambda _: large)
    asked = []

    def cut_out(model, rgb, witness):
        asked.append((model, witness))
        return found

    rgba = np.zeros((drawn.SIZE, drawn.SIZE, 4), np.uint8)
    found = cutout.SegmentedProduct(rgba, 1.0, 0.2, 0.01, 0.0, 0.98, 0.97, Doubts(0.02, 0.01, 0.03))
    monkeypatch.setattr(provider.cutout, "cut_out", cut_out)
    both = LocalProvider(settings(tmp_path))
    cut = await both.remove_background(original(drawn.jpeg(mug())), Untouched())
    ((model, witness),) = asked
    assert witness is not None
    assert witness is not model
    assert cut.model == f"u2net/{LARGE_SHA256[:12]}"
    assert both.cutout_parameters() == {
        "model": LARGE_SHA256,
        "algorithm": cutout.VERSION,
        "witness": SHA256,
    }
    assert small.cutout_parameters() == {"model": SHA256, "algorithm": cutout.VERSION}
    await both.aclose()
    await small.aclose()


def test_another_model_is_another_recipe(tmp_path):
    path = tmp_path / "other.onnx"
    path.write_bytes(b"other")
    other = LocalProvider(settings(tmp_path, cutout_model_path=path))
    assert other.cutout_parameters()["model"] not in ("", SHA256)


def test_a_model_that_is_not_there_is_said_at_once(tmp_path):
    with pytest.raises(ConfigurationError, match="CUTOUT_MODEL_PATH"):
        LocalProvider(settings(tmp_path, cutout_model_path=tmp_path / "absent.onnx"))
