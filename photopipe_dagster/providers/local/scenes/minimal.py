"""Theme `minimal`: pale warm white, high key, almost nothing."""

from __future__ import annotations

import numpy as np

from photopipe_dagster.providers.local.scenes.film import Film
from photopipe_dagster.providers.local.scenes.frame import Floats, Frame
from photopipe_dagster.providers.local.scenes.lens import vignette
from photopipe_dagster.providers.local.scenes.light import Softbox
from photopipe_dagster.providers.local.scenes.sweep import Sweep

HORIZON = 0.58
FILM = Film(exposure=1.08, contrast=0.12, grain=0.9)


def light(frame: Frame, rng: np.random.Generator) -> Floats:
    """Linear light of the scene, (height, width, 3)."""
    left, up, forward = rng.uniform((-2.0, 1.9, 1.2), (-1.5, 2.2, 1.6))
    warmth = rng.uniform(0.0, 0.015)
    sweep = Sweep(
        albedo=(0.90 + warmth, 0.865, 0.82 - warmth),
        wall=3.4,
        bend=1.25,
        key=Softbox(centre=(left, up, forward), target=(0.1, 0.2, 2.4), side=1.6),
        fill=1.5,
        fibre=0.0025,
    )
    return sweep.light(frame, rng) * vignette(frame, 0.06)
