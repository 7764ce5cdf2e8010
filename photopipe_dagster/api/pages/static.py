"""The pages' own style, script and icon, under addresses that change with their content."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.pages.rendering import STATIC, PageRoute

_OF_SUFFIX: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_TYPES: Final = {
    file.name: _OF_SUFFIX[file.suffix] for file in STATIC.iterdir() if file.suffix in _OF_SUFFIX
}
"""What is served, by name: nothing but what is in the folder."""

router = APIRouter(route_class=PageRoute)


@router.get("/static/{version}/{name}")
def static_file(version: str, name: str) -> Response:
    """One of our own files; the version is for caches alone."""
    if name not in _TYPES:
        raise ApiError(404, "not_found", "There is no such file.")
    return Response(
        (STATIC / name).read_bytes(),
        media_type=_TYPES[name],
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )


@router.get("/favicon.ico")
def favicon() -> Response:
    """What browsers ask for by themselves."""
    return static_file("", "icon.svg")
