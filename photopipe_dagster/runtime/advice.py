"""What people are told to do about a failure: in general, and by the plug-in that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photopipe_dagster.core.error_guide import GUIDE
from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.runtime.configuration import REGISTRIES


def advice_on(code: ErrorCode, details: Mapping[str, Any] | None) -> str:
    """What to do about a failed job.

    Args:
        details: The job's; a plug-in that failed is named under its kind, such as ``provider``.
    """
    advice = [GUIDE[code].do]
    for registry in REGISTRIES:
        name: Any = (details or {}).get(registry.kind)
        if name in registry and code in registry.get(name).advice:
            advice.append(registry.get(name).advice[code])
    return " ".join(advice)
