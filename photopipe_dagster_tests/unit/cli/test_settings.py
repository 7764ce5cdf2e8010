"""`photopipe settings`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.providers.base import Capabilities, ProviderPlugin
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.configuration import variables


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (name for variable in variables() for name in variable.names):
        monkeypatch.delenv(name, raising=False)


def listed() -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(app, ["settings", "--json"])
    assert result.exit_code == 0, result.output
    return {each["name"]: each for each in json.loads(result.stdout)}


def test_all_variables_are_listed_and_no_value_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FREEPIK_API_KEY", "CANARY")
    monkeypatch.setenv("PRICE_CUTOUT_USD", "0.03")
    (tmp_path / ".env").write_text("SHOPIFY_ACCESS_TOKEN=CANARY\n")
    found = listed()
    assert list(found) == [variable.name for variable in variables()]
    given = {name for name, each in found.items() if each["set"]}
    assert given == {"FREEPIK_API_KEY", "FREEPIK_PRICE_CUTOUT_USD", "SHOPIFY_ACCESS_TOKEN"}
    assert found["FREEPIK_API_KEY"]["secret"]
    assert found["FREEPIK_API_KEY"]["section"] == "Freepik"
    assert found["PORT"]["default"] == "4000"
    shown = CliRunner().invoke(app, ["settings"])
    assert "FREEPIK_REQUESTS_PER_MINUTE" in shown.stdout
    assert "CANARY" not in shown.stdout + json.dumps(found)


class AcmeSettings(PluginSettings):
    acme_key: SecretStr | None = Field(None, description="Key at Acme.")


class Acme(ProviderPlugin):
    name = "acme"
    title = "Acme"
    settings = AcmeSettings
    capabilities = Capabilities()


def test_other_packages_plug_ins_are_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS._found, "acme", ())
    monkeypatch.setitem(PROVIDERS._made, "acme", Acme())
    assert listed()["ACME_KEY"]["description"] == "Key at Acme."


def test_they_are_listed_while_they_cannot_work_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_PROVIDER", "freepik")
    assert not listed()["FREEPIK_API_KEY"]["set"]


def test_an_impossible_value_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEPIK_PRICE_CHANGES", "tomorrow")
    result = CliRunner().invoke(app, ["settings"])
    assert result.exit_code == 2
    assert "FREEPIK_PRICE_CHANGES" in result.output
