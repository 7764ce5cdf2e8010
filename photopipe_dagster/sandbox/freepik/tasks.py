"""Mystic: orders are taken at once, and painted while the client asks again and again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from typing import Any

import httpx
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.freepik.books import FreepikBooks, Task
from photopipe_dagster.sandbox.freepik.mystic import read_order
from photopipe_dagster.sandbox.freepik.refusals import message, problem
from photopipe_dagster.sandbox.traffic import fault_of


class MysticDesk:
    """Takes orders, tells how they stand, and hands pictures out."""

    def __init__(self, books: FreepikBooks) -> None:
        self._books = books
        self._deliveries: set[asyncio.Task[None]] = set()

    async def create(self, request: Request) -> Response:
        """Take an order."""
        payload = await self._payload(request)
        if payload is None:
            return message(400, "Parameter 'body' is not valid")
        order = read_order(payload)
        if isinstance(order, list):
            return problem(order, wrapped=self._books.alternate())
        task = self._books.sell_task(order, fault_of(request))
        if order.webhook_url:
            base = str(request.base_url)
            delivery = asyncio.create_task(self._deliver(task, order.webhook_url, base))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)
        return JSONResponse({"data": {"task_id": task.id, "status": "CREATED", "generated": []}})

    async def get(self, request: Request, task_id: str) -> Response:
        """Tell how one task stands."""
        task = self._books.poll(task_id)
        if task is None:
            return message(404, "Resource not found")
        return JSONResponse({"data": self._view(task, str(request.base_url))})

    async def listing(self) -> Response:
        """Tell how all tasks stand; without latency, that brings them on as a look at each does."""
        tasks = self._books.look_at_all()
        content = [{"task_id": task.id, "status": self._books.status(task)} for task in tasks]
        return JSONResponse({"data": content})

    async def picture(self, task_id: str, token: str = "") -> Response:
        """Hand a picture out to whoever has its signed URL."""
        task = self._books.tasks.get(task_id)
        if task is None or not task.finished or not self._books.accepts(task, token):
            return Response("Access denied", status_code=403, media_type="text/plain")
        data, content_type = await asyncio.to_thread(self._books.picture, task)
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
        status = self._books.status(task)
        view: dict[str, Any] = {"task_id": task.id, "status": status, "generated": []}
        if status == "COMPLETED":
            # The name says .png whatever the picture is, as live URLs do.
            url = f"{base}freepik/cdn/{task.id}.png?token={self._books.token(task)}"
            view["generated"] = [url]
            view["has_nsfw"] = [task.fault == "nsfw"]
        return view

    async def _deliver(self, task: Task, target: str, base: str) -> None:
        """Finish a task by itself and tell the webhook, signed."""
        await asyncio.sleep(self._books.task_seconds())
        self._books.finish(task)
        body = json.dumps(self._view(task, base)).encode()
        headers = webhook_headers(
            body, self._books.config.freepik_webhook_secret, int(self._books.clock.timestamp())
        )
        async with httpx.AsyncClient(
            transport=self._books.config.transport, trust_env=False, timeout=10.0
        ) as client:
            try:
                await client.post(target, content=body, headers=headers)
            except httpx.HTTPError:
                return  # the receiver asks for the task instead


def webhook_headers(body: bytes, secret: str, timestamp: int) -> dict[str, str]:
    """Headers of a webhook: HMAC-SHA256 over ``id.timestamp.body``, in base64."""
    number = f"msg_{uuid.uuid4().hex}"
    signed = f"{number}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": number,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
