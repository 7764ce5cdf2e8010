"""The routes of the simulator of Freepik."""

from __future__ import annotations

import asyncio
import hmac

from fastapi import APIRouter, Request, Response

from photopipe_dagster.sandbox.freepik import cutouts, uploads
from photopipe_dagster.sandbox.freepik.records import FreepikRecords
from photopipe_dagster.sandbox.freepik.refusals import message
from photopipe_dagster.sandbox.freepik.tasks import MysticDesk
from photopipe_dagster.sandbox.traffic import Traffic


def router(records: FreepikRecords, traffic: Traffic) -> APIRouter:
    """The routes under ``/freepik``; each goes by its name in ``faults.toml``."""
    routes = APIRouter(route_class=traffic.route_class())
    guarded = APIRouter(route_class=traffic.route_class(lambda request: _refusal(request, records)))
    desk = MysticDesk(records)

    @guarded.post("/v1/ai/beta/remove-background", name="freepik.remove_background")
    async def remove_background(request: Request) -> Response:
        return await cutouts.remove_background(request, records)

    @routes.get("/v1/ai/beta/images/download/{cutout_id}/{name}", name="freepik.download")
    async def cutout_file(cutout_id: str, name: str) -> Response:
        return _file(await asyncio.to_thread(records.cutout_file, cutout_id, name))

    guarded.post("/v1/ai/mystic", name="freepik.mystic.create")(desk.create)
    guarded.get("/v1/ai/mystic", name="freepik.mystic.list")(desk.listing)
    guarded.get("/v1/ai/mystic/{task_id}", name="freepik.mystic.get")(desk.get)
    routes.get("/cdn/{task_id}.png", name="freepik.mystic.download")(desk.picture)

    @guarded.post("/v1/ai/uploads/request-url", name="freepik.uploads.request")
    async def request_uploads(request: Request) -> Response:
        return await uploads.request_urls(request, records)

    @routes.put("/_uploads/{upload_id}", name="freepik.uploads.put")
    async def put_upload(request: Request, upload_id: str) -> Response:
        return await uploads.put(request, upload_id, records)

    @routes.get("/_uploads/{upload_id}", name="freepik.uploads.download")
    async def get_upload(upload_id: str) -> Response:
        upload = records.uploaded(upload_id)
        return _file((upload.data or b"", upload.content_type) if upload else None)

    routes.include_router(guarded)
    return routes


def _refusal(request: Request, records: FreepikRecords) -> Response | None:
    """Check the key and the rate. 429 comes without Retry-After, as the real one's does."""
    names = records.config.freepik_key_headers
    given = [request.headers[name] for name in names if name in request.headers]
    if not given:
        return message(401, "Missing API key")
    if not hmac.compare_digest(given[0].encode(), records.config.freepik_key.encode()):
        return message(401, "Invalid API key")
    if not records.within_limit():
        return message(429, "Too many requests")
    return None


def _file(found: tuple[bytes, str] | None) -> Response:
    if found is None:
        return message(404, "Resource not found")
    data, content_type = found
    return Response(data, media_type=content_type)
