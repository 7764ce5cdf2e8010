"""How a part that Photopipe stands on is, as `/health` and `photopipe doctor` tell it."""

from __future__ import annotations

from typing import Literal

PartStatus = Literal["connected", "unreachable", "unauthorized", "not configured"]
