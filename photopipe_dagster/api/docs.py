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

_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Photopipe API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

_START: Final = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  persistAuthorization: false,
  validatorUrl: null,
});
"""

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json", dependencies=[Depends(require(Scope.READ))])
def openapi(request: Request) -> dict[str, Any]:
    """The description, as OpenAPI 3.1."""
    description: dict[str, Any] = request.app.openapi()
    return description


@router.get("/docs", dependencies=[Depends(require(Scope.READ))])
def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE)


@router.get("/docs/{name}")
def file(name: str) -> Response:
    """A file of the page. They are the same everywhere, so anybody may have them."""
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=_KEPT)
    if name not in _FILES:
        raise ApiError(404, "not_found", "There is no such file.")
    content = (files("fastapi_offline") / "static" / name).read_bytes()
    return Response(content, media_type=_FILES[name], headers=_KEPT)
