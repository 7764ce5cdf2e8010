"""What `photopipe doctor` says of the providers in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from photopipe_dagster.core.settings import Settings
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


def test_the_network_that_a_provider_needs_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fetched: list[Path] = []
    monkeypatch.setattr("photopipe_dagster.imaging.segmentation.model.ensure_model", fetched.append)
    assert of_providers(Settings(_env_file=None, data_dir=tmp_path))["local"].ok
    assert fetched == [tmp_path / "models"]
