"""The local provider's network, loaded once for all of its tests."""

from pathlib import Path

import pytest

from photopipe_dagster.imaging.segmentation.cutout import CutoutModel


@pytest.fixture(scope="session")
def model(model_path: Path) -> CutoutModel:
    return CutoutModel(model_path)
