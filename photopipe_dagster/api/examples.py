"""Examples for the description of the API, by the name of the model or the route."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

EXAMPLES: Final[dict[str, Any]] = json.loads(
    files(__package__).joinpath("examples.json").read_text("utf-8")
)
