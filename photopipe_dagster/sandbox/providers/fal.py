"""The simulator of fal: a queue, files on a CDN, and the history of requests.

As fal's platform OpenAPI, its clients and its documentation of 2026 have it.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.charges import Job
from photopipe_dagster.sandbox.clock import iso
from photopipe_dagster.sandbox.providers.base import (
    ProviderStandIn,
    keyed,
    look_whole,
    wrong_fields,
)

KEY: Final = "sandbox-fal-key"
KEPT_SECONDS: Final = 3600.0
"""Of results after they are completed."""
LOOKS: Final = 2
"""So many looks see a request unfinished."""
WAIT_SECONDS: Final = 5.0
PRICES: Final = {"cutout": Decimal("0.018"), "background": Decimal("0.003")}

_FLUX: Final[Mapping[str, object]] = {
    "prompt": str,
    "image_size": lambda size: isinstance(size, dict | str),
    "num_images": range(1, 5),
    "num_inference_steps": int,
    "guidance_scale": float,
    "seed": int,
    "output_format": ("jpeg", "png"),
    "enable_safety_checker": bool,
    "acceleration": ("none", "regular", "high"),
    "sync_mode": bool,
}
MODELS: Final[Mapping[str, tuple[Job, Mapping[str, object]]]] = {
    "fal-ai/bria/background/remove": ("cutout", {"image_url": str, "sync_mode": bool}),
    "fal-ai/birefnet/v2": (
        "cutout",
        {
            "image_url": str,
            "model": ("General Use (Light)", "General Use (Heavy)", "Matting", "Portrait"),
            "operating_resolution": ("1024x1024", "2048x2048"),
            "output_format": ("webp", "png", "gif"),
            "output_mask": bool,
            "mask_only": bool,
            "refine_foreground": bool,
            "sync_mode": bool,
        },
    ),
    "fal-ai/flux/schnell": ("background", _FLUX),
    "fal-ai/flux/dev": ("background", _FLUX),
}


@dataclass(slots=True)
class Order:
    """One request; `failed` is the type of error that it will end with."""

    id: str
    model: str
    job: Job
    input: dict[str, Any]
    sent: datetime
    failed: str | None = None
    looks: int = 0
    ended: float | None = None
    picture: str = ""
    making: asyncio.Task[None] | None = field(default=None, repr=False)


class StandIn(ProviderStandIn):
    """One account. The next answer is a type of error, or `nsfw`: a success that is black."""

    provider = "fal"
    path = "fal"

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.orders: dict[str, Order] = {}
        self.files: dict[str, tuple[bytes, str]] = {}
        self._token = secrets.token_hex(8)

    def router(self) -> APIRouter:
        """The routes under ``/fal``."""
        refuse = keyed("authorization", f"Key {KEY}", _unauthorized)
        guarded = APIRouter(route_class=self.traffic.route_class(refuse))
        free = APIRouter(route_class=self.traffic.route_class())
        requests = "/queue/{owner}/{app}/requests/{number}"
        guarded.get(f"{requests}/status", name="fal.status")(self._status)
        guarded.put(f"{requests}/cancel", name="fal.cancel")(self._cancel)
        guarded.get(requests, name="fal.result")(self._result)
        guarded.get(f"{requests}/response", name="fal.result")(self._result)
        guarded.post("/rest/storage/auth/token", name="fal.token")(self._ticket)
        guarded.get("/platform/v1/models/pricing", name="fal.pricing")(self._pricing)
        guarded.get("/platform/v1/models/requests/by-endpoint", name="fal.history")(self._history)
        guarded.post("/queue/{model:path}", name="fal.submit")(self._submit)
        free.post("/cdn/files/upload", name="fal.upload")(self._upload)
        free.get("/cdn/files/{name}", name="fal.file")(self._file)
        free.include_router(guarded)
        return free

    # --- files ---------------------------------------------------------------------------

    async def _ticket(self, request: Request) -> Response:
        base = f"{request.base_url}fal/cdn"
        ticket = {"token": self._token, "token_type": "Bearer", "base_url": base}
        return JSONResponse(ticket | {"expires_at": iso(self.clock.now())})

    async def _upload(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self._token}":
            return JSONResponse({"detail": "Unauthorized"}, 401)
        return JSONResponse({"access_url": self._kept(request, await request.body())})

    def _kept(self, request: Request, data: bytes, suffix: str = "jpg") -> str:
        name = f"{secrets.token_hex(12)}.{suffix}"
        self.files[name] = data, f"image/{'png' if suffix == 'png' else 'jpeg'}"
        return f"{request.base_url}fal/cdn/files/{name}"

    async def _file(self, name: str) -> Response:
        data, kind = self.files.get(name, (b"", ""))
        return Response(data, media_type=kind) if data else Response("Not found", 404)

    # --- queue ---------------------------------------------------------------------------

    async def _submit(self, request: Request, model: str) -> Response:
        if self.out_of_money:
            says = "User is locked. Reason: Exhausted balance. Top up your balance."
            return JSONResponse({"detail": says}, 403)
        if model not in MODELS:
            return JSONResponse({"detail": f"Application {model!r} not found"}, 404)
        job, fields = MODELS[model]
        try:
            given = await request.json()
        except ValueError:
            given = None
        required = "image_url" if job == "cutout" else "prompt"
        if not isinstance(given, dict) or required not in given:
            return _invalid(required, "Field required", "missing")
        wrong = wrong_fields(given, fields)
        if wrong:
            return _invalid(wrong[0].partition(":")[0], wrong[0], "value_error")
        made = Order(str(uuid.uuid4()), model, job, given, self.clock.now(), self.ending())
        if job == "cutout" and await look_whole(self._photo(made)) is None:
            made.failed = "image_load_error"
        if made.failed in (None, "nsfw"):
            self.charge(model, job, PRICES[job], made.id)
            made.making = asyncio.create_task(self._make(request, made))
        with self._lock:
            self.orders[made.id] = made
        return JSONResponse(self._shown(request, made))

    async def _make(self, request: Request, made: Order) -> None:
        if made.job == "background":
            size = made.input.get("image_size", "square_hd")
            sides = (1024, 1024) if isinstance(size, str) else (size["width"], size["height"])
            picture = await self.painted(made.input["prompt"], *sides)
        else:
            picture = await self.cut(self._photo(made))
        made.picture = self._kept(request, picture, "png")

    def _photo(self, made: Order) -> bytes:
        return self.files.get(made.input["image_url"].rpartition("/")[2], (b"", ""))[0]

    def _shown(self, request: Request, made: Order) -> dict[str, Any]:
        owner, app = made.model.split("/")[:2]
        here = f"{request.base_url}fal/queue/{owner}/{app}/requests/{made.id}"
        status = "IN_QUEUE" if made.looks == 0 else "IN_PROGRESS"
        shown: dict[str, Any] = {
            "status": status if made.ended is None else "COMPLETED",
            "request_id": made.id,
            "response_url": here,
            "status_url": f"{here}/status",
            "cancel_url": f"{here}/cancel",
        }
        if made.ended is not None and made.failed not in (None, "nsfw"):
            shown |= {"error": "The request failed", "error_type": made.failed}
        return shown

    async def _status(self, request: Request, number: str) -> Response:
        made = self.orders.get(number)
        if made is None:
            return JSONResponse({"status": "NOT_FOUND"}, 404)
        made.looks += 1
        if made.looks > LOOKS and made.ended is None:
            if made.making is not None:
                await asyncio.wait({made.making}, timeout=WAIT_SECONDS)
            if made.making is None or made.making.done():
                made.ended = self.clock.timestamp()
        return JSONResponse(self._shown(request, made), 202 if made.ended is None else 200)

    async def _result(self, number: str) -> Response:
        made = self.orders.get(number)
        if made is None or (
            made.ended is not None and self.clock.timestamp() >= made.ended + KEPT_SECONDS
        ):
            return JSONResponse({"status": "NOT_FOUND"}, 404)
        if made.ended is None:
            return JSONResponse({"detail": "Request is still in progress"}, 400)
        if made.failed not in (None, "nsfw"):
            return _invalid("image_url", "The request failed", str(made.failed))
        picture = {"url": made.picture, "content_type": "image/png"}
        result: dict[str, Any] = {"image": picture}
        if made.job == "background":
            nsfw = [made.failed == "nsfw"]
            result = {"images": [picture], "seed": 7, "has_nsfw_concepts": nsfw}
        headers = {"x-fal-request-id": made.id, "X-Fal-Billable-Units": "1"}
        return JSONResponse(result, headers=headers)

    async def _cancel(self, number: str) -> Response:
        made = self.orders.get(number)
        if made is None:
            return JSONResponse({"status": "NOT_FOUND"}, 404)
        if made.ended is not None:
            return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
        return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)

    # --- platform ------------------------------------------------------------------------

    async def _pricing(self, request: Request) -> Response:
        prices = [
            {"endpoint_id": name, "unit_price": float(PRICES[job]), "unit": "images"}
            for name, (job, _) in MODELS.items()
        ]
        return JSONResponse({"prices": prices})

    async def _history(
        self, request: Request, endpoint_id: str, start: datetime, limit: int = 50
    ) -> Response:
        items = [
            {"request_id": each.id, "endpoint_id": each.model, "json_input": each.input}
            for each in sorted(self.orders.values(), key=lambda one: one.sent)[::-1]
            if each.model == endpoint_id and each.sent >= start
        ]
        return JSONResponse({"items": items[: min(limit, 100)], "has_more": False})


def _unauthorized(_: bool) -> Response:
    return JSONResponse({"detail": "Cannot access application. Authentication is required."}, 401)


def _invalid(where: str, says: str, kind: str) -> Response:
    detail = [{"loc": ["body", where], "msg": says, "type": kind}]
    return JSONResponse({"detail": detail}, 422, headers={"X-Fal-Error-Type": kind})
