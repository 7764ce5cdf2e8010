"""Procedurally rendered backgrounds: a scene for every theme, without a network or a key.

A scene computes linear light in a frame of normalised coordinates (`frame`), out of stone, wood,
paper, leaves and lamps; `film` turns the light into a picture. The light comes from the upper
left in all of them, and the middle is free for the product, which stands on the surface below
the horizon.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.providers.local.scenes import kitchen, luxury, outdoors, studio
from photopipe_dagster.providers.local.scenes.film import Film, develop
from photopipe_dagster.providers.local.scenes.frame import Frame
from photopipe_dagster.providers.local.scenes.looks import Look

SCENE_VERSION = "2"
"""Part of a background's recipe: it changes whenever a scene is to look different."""

LARGEST_UNIT = 2048
"""Geometric mean of width and height, pixels, up to which light is computed; beyond, enlarged."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is rendered for a theme.

    Args:
        horizon: Where the surface ends, as a fraction of the height from the top.
        film: The look of the picture.
        looks: What it may look like, by name.
    """

    horizon: float
    film: Film
    looks: Mapping[str, Look]


SCENES: dict[str, Scene] = {
    "default": Scene(studio.HORIZON, studio.GREY_FILM, studio.GREY),
    "kitchen": Scene(kitchen.HORIZON, kitchen.FILM, kitchen.LOOKS),
    "outdoors": Scene(outdoors.HORIZON, outdoors.FILM, outdoors.LOOKS),
    "minimal": Scene(studio.HORIZON, studio.PALE_FILM, studio.PALE),
    "luxury": Scene(luxury.HORIZON, luxury.FILM, luxury.LOOKS),
}
"""The scene of each theme, by the theme's name."""


def render(
    theme_name: str, width: int, height: int, seed: int, looks: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """Render the scene of a theme.

    Args:
        theme_name: Name of the theme.
        width: Pixels, 256 to 4096 look right.
        height: Pixels; ratios from 1:2 to 2:1 look right.
        seed: Not negative. The same seed gives the same picture; another one another look,
            layout, material and light.
        looks: Names of those of the theme's looks that may be drawn; all where empty.

    Returns:
        (height, width, 3) uint8, sRGB.

    Raises:
        PhotoRejectedError: The theme has no scene, or not that look.
    """
    scene = SCENES.get(theme_name)
    if scene is None:
        raise PhotoRejectedError(
            f"There is no scene for the theme {theme_name!r}; choose one of {', '.join(SCENES)}, "
            "or another BACKGROUND_PROVIDER."
        )
    unknown = [name for name in looks if name not in scene.looks]
    if unknown:
        raise PhotoRejectedError(
            f"The scene {theme_name!r} has no look {unknown[0]!r}; choose among "
            f"{', '.join(scene.looks)}."
        )
    seeds = np.random.SeedSequence([seed, zlib.crc32(theme_name.encode())])
    # Grain depends on the size; what is in the picture must not.
    composition, grain = (np.random.default_rng(child) for child in seeds.spawn(2))
    frame = Frame(width, height, scene.horizon).limited(LARGEST_UNIT)
    names = tuple(looks) or tuple(scene.looks)
    look = scene.looks[names[int(composition.integers(len(names)))]]
    light = look.light(frame, composition)
    return develop(light, scene.film, (width, height), grain)
