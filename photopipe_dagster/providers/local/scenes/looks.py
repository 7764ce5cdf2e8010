"""The looks that a theme's scene is drawn from, as `looks.toml` describes them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, Protocol

import numpy as np

from photopipe_dagster.providers.local.scenes.frame import Floats, Frame

_DATA: Final = tomllib.loads(files(__package__).joinpath("looks.toml").read_text("utf-8"))


class Look(Protocol):
    """One of the ways in which a theme's scene looks."""

    def light(self, frame: Frame, rng: np.random.Generator) -> Floats:
        """Linear light of the scene, (height, width, 3), or smaller, to be enlarged."""
        ...


def described(theme: str) -> Mapping[str, dict[str, Any]]:
    """What the data says of each look of a theme, by the look's name."""
    return {name: _tuples(entry) for name, entry in _DATA[theme].items()}


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return value
