"""What an application serves. Knows nothing but FastAPI."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI


def addresses(app: FastAPI) -> set[tuple[str, str]]:
    """Methods and paths, pages among them; parameters without their names.

    Raises:
        LookupError: FastAPI keeps them somewhere else.
    """
    found = {
        (method, re.sub(r"\{\w+(:\w+)?\}", r"{\1}", path))
        for method, path in _served(app.routes, "")
        if method != "HEAD"
    }
    if not found:
        raise LookupError("FastAPI keeps routes in another way: look there for them anew.")
    return found


def _served(routes: Iterable[Any], prefix: str) -> Iterator[tuple[str, str]]:
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from _served(included.routes, prefix + route.include_context.prefix)
        for method in getattr(route, "methods", None) or ():
            yield method, prefix + route.path
