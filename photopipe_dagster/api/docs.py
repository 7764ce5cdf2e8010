"""The description of the API, and a page to read it and to try it out.

The page is Swagger UI. Its files are served from here, so that it works without the internet and
within a policy that allows no other site's scripts.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.security import Scope, require

_KEPT: Final = {"Cache-Control": "public, max-age=86400"}

_OURS: Final = files(__package__) / "static"
_SWAGGER: Final = files("fastapi_offline") / "static"

_FILES: Final = {
    "start.js": (_OURS / "docs.js", "text/javascript"),
    "swagger-ui-bundle.js": (_SWAGGER / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (_SWAGGER / "swagger-ui.css", "text/css"),
}

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json", dependencies=[Depends(require(Scope.READ))])
def openapi(request: Request) -> dict[str, Any]:
    """The description, as OpenAPI 3.1."""
    description: dict[str, Any] = request.app.openapi()
    return description


@router.get("/docs", dependencies=[Depends(require(Scope.READ))])
def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse((_OURS / "docs.html").read_text("utf-8"))


@router.get("/docs/{name}")
def file(name: str) -> Response:
    """A file of the page. They are the same everywhere, so anybody may have them."""
    if name not in _FILES:
        raise ApiError(404, "not_found", "There is no such file.")
    content, media_type = _FILES[name]
    return Response(content.read_bytes(), media_type=media_type, headers=_KEPT)
