"""The network's file for the tests of the local provider: fetched once, then kept."""

import os
from pathlib import Path

import pytest

from photopipe_dagster.providers.local.cutout import CutoutModel
from photopipe_dagster.providers.local.model import ensure_model


@pytest.fixture(scope="session")
def models_dir() -> Path:
    kept = os.environ.get("PHOTOPIPE_TEST_CACHE")
    return Path(kept) if kept else Path(__file__).resolve().parents[3] / "build" / "models"


@pytest.fixture(scope="session")
def model_path(models_dir: Path) -> Path:
    """Fails, and does not skip, where the file can be neither found nor fetched."""
    return ensure_model(models_dir)


@pytest.fixture(scope="session")
def model(model_path: Path) -> CutoutModel:
    return CutoutModel(model_path)
