"""What sensors and assets work with is read once, and again where the environment is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from photopipe_dagster.defs.resources import PhotopipeResource


def test_settings_are_read_again_where_the_environment_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHOTOS_PER_RUN", "7")
    first = PhotopipeResource().settings
    assert first.photos_per_run == 7
    assert PhotopipeResource().settings is first
    monkeypatch.setenv("PHOTOS_PER_RUN", "8")
    assert PhotopipeResource().settings.photos_per_run == 8
    (tmp_path / ".env").write_text("RUNS_AT_ONCE=5\n")
    assert PhotopipeResource().settings.runs_at_once == 5
