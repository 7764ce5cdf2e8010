"""A light is checked when it is made."""

from __future__ import annotations

import subprocess
import sys

import pytest

from photopipe_dagster.imaging.light import Light


@pytest.mark.parametrize(
    "wrong",
    [
        {"elevation_degrees": 5},
        {"elevation_degrees": 90},
        {"softness": 1.1},
        {"contact": -0.1},
        {"ambient": 2},
        {"cast": float("nan")},
        {"reflection": 1.01},
        {"tint": (0, 0, 1.5)},
    ],
)
def test_values_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Light(**wrong)


def test_importing_it_is_light() -> None:
    code = (
        "import sys, photopipe_dagster.imaging.light; "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'cv2', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
