"""The routes of the simulator of Shopify."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.shopify import execution, staged
from photopipe_dagster.sandbox.shopify.context import RequestContext
from photopipe_dagster.sandbox.shopify.store import ShopifyStore
from photopipe_dagster.sandbox.traffic import Traffic

SUPPORTED_VERSIONS: Final = ("2026-01", "2026-04", "2026-07", "2026-10")
RELEASE_CANDIDATE: Final = "2027-01"
_VERSION = re.compile(r"\d{4}-\d{2}")
_BAD_TOKEN = "[API] Invalid API key or access token (unrecognized login or wrong password)"  # noqa: S105


def router(store: ShopifyStore, traffic: Traffic) -> APIRouter:
    """The routes under ``/shopify``; each but GraphQL goes by its name in ``faults.toml``."""
    documents = APIRouter()
    routes = APIRouter(route_class=traffic.route_class())

    @documents.post("/admin/api/graphql.json")
    @documents.post("/admin/api/{version}/graphql.json")
    async def graphql(request: Request, version: str = "") -> Response:
        return await _graphql(request, version, store, traffic)

    @routes.post("/admin/oauth/access_token", name="shopify.oauth")
    async def access_token(request: Request) -> Response:
        return await _grant(request, store)

    @routes.post("/_staged/", name="shopify.staged_upload")
    async def staged_post(request: Request) -> Response:
        return await staged.post(request, store)

    @routes.put("/_staged/{key:path}", name="shopify.staged_upload")
    async def staged_put(request: Request, key: str) -> Response:
        return await staged.put(request, key, store)

    @routes.get("/cdn/s/files/1/0001/files/{filename}", name="shopify.cdn")
    async def picture(filename: str) -> Response:
        file = store.file_named(filename)
        if file is None or file.data is None or store.status(file) != "READY":
            return Response(status_code=404)
        return Response(file.data, media_type=file.content_type)

    routes.include_router(documents)
    return routes


async def _graphql(
    request: Request, version: str, store: ShopifyStore, traffic: Traffic
) -> Response:
    payload = await _json(request)
    parsed = execution.read(payload)

    async def work(fault: Fault | None) -> Response:
        runs = _version(version)
        if runs is None:
            return _errors(404, "Not Found")
        headers = {"x-shopify-api-version": runs, "x-request-id": str(uuid.uuid4())}
        if not store.knows(request.headers.get("x-shopify-access-token", "")):
            return _errors(401, _BAD_TOKEN, headers)
        if payload is None:
            return _errors(400, "Bad Request: the body is no JSON, or is not said to be", headers)
        base = f"{request.base_url}shopify"
        content = await execution.run(parsed, RequestContext(store, base, runs, fault))
        if not parsed.errors and execution.uses_deprecated(parsed):
            headers["x-shopify-api-deprecated-reason"] = (
                "https://shopify.dev/api/usage/versioning#deprecation-practices"
            )
        return JSONResponse(content, headers=headers)

    return await traffic.admit(parsed.operations, work)


async def _json(request: Request) -> Any:
    """The body; ``None`` if it is no JSON or not declared as such."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        return None
    try:
        return await request.json()
    except ValueError:
        return None


def _version(asked: str) -> str | None:
    """The version that runs: one that is no longer (or not yet) served falls forward."""
    if asked in (*SUPPORTED_VERSIONS, RELEASE_CANDIDATE, "unstable"):
        return asked
    if not asked or _VERSION.fullmatch(asked):
        return SUPPORTED_VERSIONS[0]
    return None


async def _grant(request: Request, store: ShopifyStore) -> Response:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        return _oauth_error("invalid_request", "The request must be a form.")
    form = await request.form()
    if form.get("grant_type") != "client_credentials":
        return _oauth_error("unsupported_grant_type", "Only client_credentials is known.")
    config = store.config
    expected = (config.shopify_client_id, config.shopify_client_secret)
    if (form.get("client_id"), form.get("client_secret")) != expected:
        return _oauth_error("invalid_client", "Unknown client or wrong secret.")
    return JSONResponse(
        {
            "access_token": store.grant(),
            "scope": ",".join(sorted(store.scopes)),
            "expires_in": config.shopify_token_seconds,
        }
    )


def _oauth_error(code: str, text: str) -> Response:
    return JSONResponse({"error": code, "error_description": text}, status_code=400)


def _errors(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"errors": text}, status_code=status, headers=headers)
