"""The routes of the stand-in of Freepik."""

from __future__ import annotations

import asyncio
import hmac

from fastapi import APIRouter, Request, Response

from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.freepik import cutouts, uploads
from photopipe_dagster.sandbox.freepik.books import FreepikBooks
from photopipe_dagster.sandbox.freepik.refusals import message
from photopipe_dagster.sandbox.freepik.tasks import MysticDesk
from photopipe_dagster.sandbox.traffic import Traffic, Work


def router(books: FreepikBooks, traffic: Traffic) -> APIRouter:
    """The routes under ``/freepik``."""
    routes = APIRouter()
    desk = MysticDesk(books)

    async def guarded(request: Request, operation: str, work: Work) -> Response:
        async def checked(fault: Fault | None) -> Response:
            return _refusal(request, books) or await work(fault)

        return await traffic.admit([operation], checked)

    @routes.post("/v1/ai/beta/remove-background")
    async def remove_background(request: Request) -> Response:
        async def work(fault: Fault | None) -> Response:
            return await cutouts.remove_background(request, books, fault)

        return await guarded(request, "freepik.remove_background", work)

    @routes.get("/v1/ai/beta/images/download/{cutout_id}/{name}")
    async def cutout_file(cutout_id: str, name: str) -> Response:
        async def work(_: Fault | None) -> Response:
            return _file(await asyncio.to_thread(books.cutout_file, cutout_id, name))

        return await traffic.admit(["freepik.download"], work)

    @routes.post("/v1/ai/mystic")
    async def create_task(request: Request) -> Response:
        async def work(fault: Fault | None) -> Response:
            return await desk.create(request, fault)

        return await guarded(request, "freepik.mystic.create", work)

    @routes.get("/v1/ai/mystic")
    async def list_tasks(request: Request) -> Response:
        async def work(_: Fault | None) -> Response:
            return desk.listing()

        return await guarded(request, "freepik.mystic.list", work)

    @routes.get("/v1/ai/mystic/{task_id}")
    async def get_task(request: Request, task_id: str) -> Response:
        async def work(_: Fault | None) -> Response:
            return desk.get(request, task_id)

        return await guarded(request, "freepik.mystic.get", work)

    @routes.get("/cdn/{task_id}.png")
    async def picture(task_id: str, token: str = "") -> Response:
        async def work(_: Fault | None) -> Response:
            return await desk.picture(task_id, token)

        return await traffic.admit(["freepik.mystic.download"], work)

    @routes.post("/v1/ai/uploads/request-url")
    async def request_uploads(request: Request) -> Response:
        async def work(_: Fault | None) -> Response:
            return await uploads.request_urls(request, books)

        return await guarded(request, "freepik.uploads.request", work)

    @routes.get("/v1/ai/uploads")
    async def list_uploads(request: Request) -> Response:
        async def work(_: Fault | None) -> Response:
            return uploads.listing(books)

        return await guarded(request, "freepik.uploads.list", work)

    @routes.put("/_uploads/{upload_id}")
    async def put_upload(request: Request, upload_id: str) -> Response:
        async def work(_: Fault | None) -> Response:
            return await uploads.put(request, upload_id, books)

        return await traffic.admit(["freepik.uploads.put"], work)

    @routes.get("/_uploads/{upload_id}")
    async def get_upload(upload_id: str) -> Response:
        async def work(_: Fault | None) -> Response:
            upload = books.uploaded(upload_id)
            return _file((upload.data or b"", upload.content_type) if upload else None)

        return await traffic.admit(["freepik.uploads.download"], work)

    return routes


def _refusal(request: Request, books: FreepikBooks) -> Response | None:
    """Check the key and the rate. 429 comes without Retry-After, as the real one's does."""
    names = books.config.freepik_key_headers
    given = [request.headers[name] for name in names if name in request.headers]
    if not given:
        return message(401, "Missing API key")
    if not hmac.compare_digest(given[0].encode(), books.config.freepik_key.encode()):
        return message(401, "Invalid API key")
    if not books.within_limit():
        return message(429, "Too many requests")
    return None


def _file(found: tuple[bytes, str] | None) -> Response:
    if found is None:
        return message(404, "Resource not found")
    data, content_type = found
    return Response(data, media_type=content_type)
