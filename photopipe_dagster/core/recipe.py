"""Recipes: what made a stored picture, so that the same is never made, or paid, twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from photopipe_dagster.core.photo import Stage

STAGE_VERSIONS: Final[Mapping[Stage, int]] = {
    Stage.ORIGINAL: 1,
    Stage.MASK: 1,
    Stage.BACKGROUND: 1,
    Stage.COMPOSITE: 3,
    Stage.SHOPIFY_MEDIA: 1,
}
"""Raise a stage's number when its code makes another picture from the same input."""


def recipe(stage: Stage, parameters: Mapping[str, object], inputs: Mapping[str, str]) -> str:
    """Digest of all that decides how the picture of a stage looks.

    Args:
        parameters: Provider, model, prompt, sizes, options.
        inputs: Digests of the pictures that go in, by name.

    Returns:
        32 hexadecimal digits.
    """
    canonical = json.dumps(
        {
            "stage": stage,
            "version": STAGE_VERSIONS[stage],
            "parameters": {name: str(value) for name, value in parameters.items()},
            "inputs": dict(inputs),
        },
        sort_keys=True,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def outside_recipe(stage: Stage, inputs: Mapping[str, str]) -> str:
    """The recipe of a picture that was made outside, of which only the inputs are known.

    The stage takes such a picture for done, whatever the settings would have it made by.
    """
    return recipe(stage, {"made": "outside"}, inputs)


def digest(data: bytes) -> str:
    """SHA-256 of a picture's bytes, as hex."""
    return hashlib.sha256(data).hexdigest()
