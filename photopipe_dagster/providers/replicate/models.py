"""The models of Replicate that are known here: what each is sent. Nothing else may be sent to them.

By their schemas of November 2026 (`latest_version.openapi_schema` of `GET /models/{owner}/{name}`).
A community model is named with the version that it is pinned to; an official one has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.providers.remote.ratios import ratios

RATIOS: Final = ratios("1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16")
"""Of flux; all of its models have these."""

_VERSION: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Model:
    """A model, and what it is sent.

    Args:
        name: ``owner/name``.
        version: The version of a community model; ``None``: an official one.
        options: What goes along with each photo or prompt.
    """

    name: str
    version: str | None
    options: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Name, and the beginning of the version."""
        return self.name if self.version is None else f"{self.name}:{self.version[:12]}"


_CUTOUT: Final[Mapping[str, Mapping[str, Any]]] = {
    "851-labs/background-remover": {"format": "png", "background_type": "rgba", "threshold": 0},
    "lucataco/remove-bg": {},
    "bria/remove-background": {},
}

# Not repeatable with go_fast, even with a seed.
_FLUX: Final = {"num_outputs": 1, "output_format": "png", "go_fast": False}
_BACKGROUND: Final[Mapping[str, Mapping[str, Any]]] = {
    "black-forest-labs/flux-schnell": {**_FLUX, "megapixels": "1"},
    "black-forest-labs/flux-dev": {**_FLUX, "megapixels": "1"},
    "black-forest-labs/flux-1.1-pro": {"output_format": "png"},
    "black-forest-labs/flux-1.1-pro-ultra": {"output_format": "png"},
}


def cutout_model(named: str) -> Model:
    """The model of REPLICATE_CUTOUT_MODEL.

    Raises:
        ConfigurationError: It is not known here, or its version is missing.
    """
    return _model("REPLICATE_CUTOUT_MODEL", named, _CUTOUT, official=("bria/",))


def background_model(named: str) -> Model:
    """The model of REPLICATE_BACKGROUND_MODEL.

    Raises:
        ConfigurationError: It is not known here.
    """
    return _model(
        "REPLICATE_BACKGROUND_MODEL", named, _BACKGROUND, official=("black-forest-labs/",)
    )


def _model(
    variable: str,
    named: str,
    known: Mapping[str, Mapping[str, Any]],
    *,
    official: tuple[str, ...],
) -> Model:
    name, _, version = named.partition(":")
    if name not in known:
        raise ConfigurationError(f"{variable} is {name!r}; Photopipe knows {', '.join(known)}.")
    if name.startswith(official):
        if version:
            raise ConfigurationError(f"{variable}: {name} is an official model and has no version.")
        return Model(name, None, known[name])
    if not _VERSION.fullmatch(version):
        raise ConfigurationError(
            f"{variable}: {name} needs the version that it is pinned to, as {name}: and 64 "
            "hexadecimal digits; its page on Replicate has it."
        )
    return Model(name, version, known[name])
