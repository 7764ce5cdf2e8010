"""Recipes: what made a stored picture, so that the same is never made, or paid, twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from photopipe_dagster.core.stages import SPECS, Stage


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
            "version": SPECS[stage].version,
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
