"""The themes that ship with Photopipe, from `builtin.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.marketplace import Rules
from photopipe_dagster.imaging.placement import Placement
from photopipe_dagster.themes.model import Size, Theme

_DATA: Final = tomllib.loads(files(__package__).joinpath("builtin.toml").read_text("utf-8"))

_PARTS: Final[Mapping[str, type]] = {"light": Light, "placement": Placement, "rules": Rules}


def _theme(name: str, entry: Mapping[str, Any]) -> Theme:
    fields: dict[str, Any] = {"light": None, **entry}
    for part, kind in _PARTS.items():
        if fields.get(part) is not None:
            fields[part] = kind(**{key: _value(value) for key, value in fields[part].items()})
    if "fits" in fields:
        fields["fits"] = tuple(map(Size, fields["fits"]))
    if "looks" in fields:
        fields["looks"] = tuple(fields["looks"])
    prompt = f"{entry['prompt']} {_DATA['empty_scene']}" if "prompt" in entry else ""
    return Theme(**{**fields, "name": name, "prompt": prompt})


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


THEMES: Final[dict[str, Theme]] = {
    name: _theme(name, entry) for name, entry in _DATA["themes"].items()
}
