"""Theme `default`: a photographer's studio, a light grey paper sweep."""

from __future__ import annotations

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.frame import Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import vignette
from photopipe_dagster.providers.local.scenes.light import Softbox
from photopipe_dagster.providers.local.scenes.sweep import Sweep

HORIZON = 0.56
FILM = Film(exposure=1.0, grain=1.5)


def light(frame: Frame, rng: np.random.Generator) -> Floats:
    """Linear light of the scene, (height, width, 3)."""
    left, up, forward = rng.uniform((-1.95, 1.55, 1.35), (-1.55, 1.85, 1.65))
    sweep = Sweep(
        albedo=(0.66, 0.66, 0.664),
        wall=3.3,
        bend=0.8,
        key=Softbox(centre=(left, up, forward), target=(0.25, 0.15, 2.6), side=1.0),
        fill=0.85,
        fibre=0.004,
    )
    return sweep.light(frame, rng) * vignette(frame, 0.22)
