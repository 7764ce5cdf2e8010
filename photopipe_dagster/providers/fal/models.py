"""The models of fal that are known here: what each is sent beside the photo or the prompt.

By the types of fal's own client of August 2026. `sync_mode` would keep results out of the history,
so that they could not be fetched again: it is always off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from photopipe_dagster.core.errors import ConfigurationError

CUTOUT: Final[Mapping[str, Mapping[str, Any]]] = {
    "fal-ai/bria/background/remove": {"sync_mode": False},
    "fal-ai/birefnet/v2": {
        "model": "General Use (Heavy)",
        "operating_resolution": "2048x2048",
        "output_format": "png",
        "refine_foreground": True,
        "sync_mode": False,
    },
}

_FLUX: Final = {"num_images": 1, "output_format": "png", "sync_mode": False}
BACKGROUND: Final[Mapping[str, Mapping[str, Any]]] = {
    "fal-ai/flux/schnell": _FLUX,
    "fal-ai/flux/dev": _FLUX,
}


def known(variable: str, named: str, models: Mapping[str, object]) -> None:
    """See that a model is known here.

    Raises:
        ConfigurationError: It is not.
    """
    if named not in models:
        raise ConfigurationError(f"{variable} is {named!r}; Photopipe knows {', '.join(models)}.")
