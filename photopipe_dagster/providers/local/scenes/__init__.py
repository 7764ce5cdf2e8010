"""Procedurally rendered backgrounds: a scene for every theme, without a network or a key.

A scene computes linear light in a frame of normalised coordinates (`frame`), out of stone, wood,
paper, leaves and lamps; `film` turns the light into a picture. The light comes from the upper
left in all of them, and the middle is free for the product, which stands on the surface below
the horizon.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.providers.local.scenes import kitchen, luxury, minimal, outdoors, studio
from photopipe_dagster.providers.local.scenes.film import Film, develop
from photopipe_dagster.providers.local.scenes.frame import Floats, Frame

SCENE_VERSION = "1"
"""Part of a background's recipe: it changes whenever a scene is to look different."""

LARGEST_UNIT = 2048
"""Geometric mean of width and height, pixels, up to which light is computed; beyond, enlarged."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is rendered for a theme.

    Args:
        horizon: Where the surface ends, as a fraction of the height from the top.
        film: The look of the picture.
        light: Computes linear light (height, width, 3) in a frame.
    """

    horizon: float
    film: Film
    light: Callable[[Frame, np.random.Generator], Floats]


SCENES: dict[str, Scene] = {
    "default": Scene(studio.HORIZON, studio.FILM, studio.light),
    "kitchen": Scene(kitchen.HORIZON, kitchen.FILM, kitchen.light),
    "outdoors": Scene(outdoors.HORIZON, outdoors.FILM, outdoors.light),
    "minimal": Scene(minimal.HORIZON, minimal.FILM, minimal.light),
    "luxury": Scene(luxury.HORIZON, luxury.FILM, luxury.light),
}
"""The scene of each theme, by the theme's name."""


def render(theme_name: str, width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """Render the scene of a theme.

    Args:
        theme_name: Name of the theme.
        width: Pixels, 256 to 4096 look right.
        height: Pixels; ratios from 1:2 to 2:1 look right.
        seed: Not negative. The same seed gives the same picture; another one other veins,
            planks, leaves and a slightly different light.

    Returns:
        (height, width, 3) uint8, sRGB.

    Raises:
        PhotoRejectedError: The theme has no scene.
    """
    scene = SCENES.get(theme_name)
    if scene is None:
        raise PhotoRejectedError(
            f"There is no scene for the theme {theme_name!r}; choose one of {', '.join(SCENES)}, "
            "or another BACKGROUND_PROVIDER."
        )
    seeds = np.random.SeedSequence([seed, zlib.crc32(theme_name.encode())])
    # Grain depends on the size; what is in the picture must not.
    composition, grain = (np.random.default_rng(child) for child in seeds.spawn(2))
    frame = Frame(width, height, scene.horizon).limited(LARGEST_UNIT)
    light = scene.light(frame, composition)
    return develop(light, scene.film, (width, height), grain)
