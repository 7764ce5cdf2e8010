"""Mystic: orders are taken at once, and painted while the client asks again and again."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.freepik.mystic import read_order
from photopipe_dagster.sandbox.freepik.records import FreepikRecords, Task
from photopipe_dagster.sandbox.freepik.refusals import message, problem
from photopipe_dagster.sandbox.traffic import fault_of


class MysticDesk:
    """Takes orders, tells how they stand, and hands pictures out."""

    def __init__(self, records: FreepikRecords) -> None:
        self._records = records

    async def create(self, request: Request) -> Response:
        """Take an order."""
        payload = await self._payload(request)
        if payload is None:
            return message(400, "Parameter 'body' is not valid")
        order = read_order(payload)
        if isinstance(order, list):
            return problem(order, wrapped=self._records.alternate())
        task = self._records.sell_task(order, fault_of(request))
        return JSONResponse({"data": {"task_id": task.id, "status": "CREATED", "generated": []}})

    async def get(self, request: Request, task_id: str) -> Response:
        """Tell how one task stands."""
        task = self._records.poll(task_id)
        if task is None:
            return message(404, "Resource not found")
        return JSONResponse({"data": self._view(task, str(request.base_url))})

    async def listing(self) -> Response:
        """Tell how all tasks stand; without latency, that brings them on as a look at each does."""
        tasks = self._records.look_at_all()
        content = [{"task_id": task.id, "status": self._records.status(task)} for task in tasks]
        return JSONResponse({"data": content})

    async def picture(self, task_id: str, token: str = "") -> Response:
        """Hand a picture out to anyone who has its signed URL."""
        task = self._records.tasks.get(task_id)
        if task is None or not task.finished or not self._records.accepts(task, token):
            return Response("Access denied", status_code=403, media_type="text/plain")
        data, content_type = await asyncio.to_thread(self._records.picture, task)
        return Response(data, media_type=content_type)

    async def _payload(self, request: Request) -> dict[str, Any] | None:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            return {}  # as the real one: it does not look at the body, and nothing is required
        try:
            payload = await request.json()
        except ValueError:
            return None
        return payload if isinstance(payload, dict) else None

    def _view(self, task: Task, base: str) -> dict[str, Any]:
        status = self._records.status(task)
        view: dict[str, Any] = {"task_id": task.id, "status": status, "generated": []}
        if status == "COMPLETED":
            # The name says .png whatever the picture is, as live URLs do.
            url = f"{base}freepik/cdn/{task.id}.png?token={self._records.token(task)}"
            view["generated"] = [url]
            view["has_nsfw"] = [task.fault == "nsfw"]
        return view
