"""The simulator of Replicate: files, predictions that take a few looks, outputs that die in an
hour.

As its OpenAPI 1.0.0-a1 and recorded answers have it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from photopipe_dagster.sandbox.clock import iso
from photopipe_dagster.sandbox.providers.base import (
    ProviderStandIn,
    keyed,
    look_whole,
    multipart,
    wrong_fields,
)

TOKEN: Final = "r8_sandbox"  # noqa: S105  # opens no door but this one
KEPT_SECONDS: Final = 3600.0
"""Of outputs and inputs, and of files."""
MAX_FILE_BYTES: Final = 100_000_000
LOOKS: Final = 2
"""So many GETs see a prediction unfinished."""
A_PAGE: Final = 100
WAIT_SECONDS: Final = 5.0
"""A look waits so long at most for a picture that is being made: whose clock is set does not."""

PRICES: Final = {"cutout": Decimal("0.001"), "background": Decimal("0.003")}

_ID: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_PREFER: Final = re.compile(r"wait(=([1-9]|[1-9][0-9]|60))?")
_AFTER: Final = re.compile(r"(\d+h)?(\d+m)?(\d+s)?|\d+")
_HEX: Final = re.compile("[0-9a-f]{64}")
_TOP: Final = frozenset({"input", "version", "webhook", "webhook_events_filter", "stream"})
_RATIOS: Final = ["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"]
_SIZES: Final = {"1:1": (1024, 1024), "3:2": (1216, 832), "2:3": (832, 1216), "4:3": (1152, 896)}

COMMUNITY: Final[dict[str, tuple[str, dict[str, type]]]] = {
    "a029dff38972b5fda4ec5d75d7d1cd25aeff621d2cf4946a41055d7db66b80bc": (
        "851-labs/background-remover",
        {"image": str, "threshold": int, "reverse": bool, "background_type": str, "format": str},
    ),
    "95fcc2a26d3899cd6c2691c900465aaeff466285a65c14638cc5f36f34befaf1": (
        "lucataco/remove-bg",
        {"image": str},
    ),
}
_FLUX: Final = {
    "prompt": str,
    "aspect_ratio": str,
    "seed": int,
    "output_format": str,
    "output_quality": int,
}
_FLUX_1: Final = _FLUX | {
    "num_outputs": int,
    "num_inference_steps": int,
    "disable_safety_checker": bool,
    "go_fast": bool,
    "megapixels": str,
}
OFFICIAL: Final[dict[str, tuple[bool, dict[str, type]]]] = {
    "black-forest-labs/flux-schnell": (True, _FLUX_1),
    "black-forest-labs/flux-dev": (True, _FLUX_1),
    "black-forest-labs/flux-1.1-pro": (False, _FLUX),
    "bria/remove-background": (
        False,
        {"image": str, "preserve_alpha": bool, "content_moderation": bool},
    ),
}
"""Whether the output is a list, and the fields of the input."""


@dataclass(slots=True)
class Prediction:
    """One prediction; `ending` is what it will end as."""

    id: str
    model: str
    version: str
    input: dict[str, Any]
    created: datetime
    deadline: float | None
    listed: bool
    ending: str = "succeeded"
    error: str | None = None
    looks: int = 0
    status: str = "starting"
    ended: float | None = None
    picture: bytes = field(default=b"", repr=False)
    making: asyncio.Task[None] | None = field(default=None, repr=False)


class StandIn(ProviderStandIn):
    """One account.

    Attributes:
        next_ending: What the next prediction ends as, and its error; ``None``: it succeeds.
    """

    provider = "replicate"
    path = "replicate"

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.predictions: dict[str, Prediction] = {}
        self.files: dict[str, tuple[bytes, str, float]] = {}
        self.next_ending: tuple[str, str] | None = None

    def router(self) -> APIRouter:
        """The routes under ``/replicate``."""
        guarded = APIRouter(prefix="/v1", route_class=self.traffic.route_class(_refuse))
        routes = APIRouter(route_class=self.traffic.route_class())
        guarded.get("/account", name="replicate.account")(self._account)
        guarded.post("/files", name="replicate.files.create")(self._upload)
        guarded.get("/files/{file_id}", name="replicate.files.get")(self._file)
        guarded.post("/predictions", name="replicate.predictions.create")(self._create)
        guarded.post("/models/{owner}/{name}/predictions", name="replicate.models.create")(
            self._create_official
        )
        guarded.get("/predictions", name="replicate.predictions.list")(self._list)
        guarded.get("/predictions/{prediction_id}", name="replicate.predictions.get")(self._get)
        guarded.post("/predictions/{prediction_id}/cancel", name="replicate.predictions.cancel")(
            self._cancel
        )
        routes.get("/delivery/{prediction_id}/{name}", name="replicate.delivery")(self._delivery)
        routes.include_router(guarded)
        return routes

    async def _account(self, request: Request) -> Response:
        return JSONResponse({"type": "organization", "username": "sandbox"})

    # --- files ---------------------------------------------------------------------------

    async def _upload(self, request: Request) -> Response:
        form = await multipart(request)
        if form is None or "content" not in form.files:
            return _invalid("required", "content", "content is required")
        data = form.files["content"]
        if len(data) > MAX_FILE_BYTES:
            return JSONResponse(
                {"detail": "Files must be less than 100MB in size"},
                413,
                media_type="application/problem+json",
            )
        name, now = _new_id(), self.clock.timestamp()
        facts = await look_whole(data)
        kind = facts.content_type if facts else "application/octet-stream"
        self.files[name] = data, kind, now + KEPT_SECONDS
        return JSONResponse(self._described(request, name), 201)

    def _described(self, request: Request, name: str) -> dict[str, Any]:
        data, kind, until = self.files[name]
        return {
            "id": name,
            "content_type": kind,
            "size": len(data),
            "checksums": {"sha256": hashlib.sha256(data).hexdigest()},
            "metadata": {},
            "expires_at": iso(datetime.fromtimestamp(until, UTC)),
            "urls": {"get": f"{request.base_url}replicate/v1/files/{name}"},
        }

    async def _file(self, request: Request, file_id: str) -> Response:
        if self.clock.timestamp() >= self.files.get(file_id, (b"", "", 0.0))[2]:
            return JSONResponse({"detail": "File not found"}, 404)
        return JSONResponse(self._described(request, file_id))

    # --- predictions ---------------------------------------------------------------------

    async def _create(self, request: Request) -> Response:
        body = await _body(request)
        if isinstance(body, Response):
            return body
        version = body.get("version")
        if not isinstance(version, str):
            return _invalid("required", "version", "version is required")
        digits = version.rpartition(":")[2]
        if not _HEX.fullmatch(digits) or digits not in COMMUNITY:
            detail = "The specified version does not exist (or perhaps you don't have permission)"
            return JSONResponse(
                {"title": "Invalid version or not permitted", "detail": detail, "status": 422}, 422
            )
        name, fields = COMMUNITY[digits]
        return await self._ordered(request, name, digits, body, fields, listed=False)

    async def _create_official(self, request: Request, owner: str, name: str) -> Response:
        known = OFFICIAL.get(f"{owner}/{name}")
        if known is None:
            detail = "The requested resource could not be found."
            return JSONResponse({"detail": detail, "status": 404}, 404)
        body = await _body(request)
        if isinstance(body, Response):
            return body
        if "version" in body:
            return _invalid("additional_property_not_allowed", "version", "not allowed")
        listed, fields = known
        return await self._ordered(
            request, f"{owner}/{name}", "hidden", body, fields, listed=listed
        )

    async def _ordered(
        self,
        request: Request,
        model: str,
        version: str,
        body: dict[str, Any],
        fields: dict[str, type],
        *,
        listed: bool,
    ) -> Response:
        given = body["input"]
        job = "cutout" if "image" in fields else "background"
        refused = _refused_input(given, fields, "image" if job == "cutout" else "prompt")
        if refused is not None:
            return refused
        after = request.headers.get("cancel-after")
        made = Prediction(
            _new_id(),
            model,
            version,
            given,
            self.clock.now(),
            None if after is None else self.clock.timestamp() + _seconds(after),
            listed,
        )
        if self.next_ending is not None:
            (made.ending, made.error), self.next_ending = self.next_ending, None
        if made.ending == "succeeded":
            made.making = asyncio.create_task(self._make(made, job))
        with self._lock:
            self.predictions[made.id] = made
        # Seconds that it ran are billed, however it ends; a picture only where there is one.
        if made.ending == "succeeded" or (made.ending == "failed" and version != "hidden"):
            self.charge(model, job, PRICES[job], made.id)  # type: ignore[arg-type]
        return JSONResponse(self._shown(request, made), 201)

    async def _make(self, made: Prediction, job: str) -> None:
        if job == "background":
            size = _SIZES.get(made.input.get("aspect_ratio", "1:1"), (1024, 1024))
            made.picture = await self.painted(made.input["prompt"], *size)
            return
        name = made.input["image"].rpartition("/")[2]
        data = self.files.get(name, (b"", "", 0.0))[0]
        if await look_whole(data) is None:
            made.ending, made.error = "failed", "cannot identify image file"
            return
        made.picture = await self.cut(data)

    def _shown(self, request: Request, made: Prediction) -> dict[str, Any]:
        now = self.clock.timestamp()
        removed = made.ended is not None and now >= made.ended + KEPT_SECONDS
        output: str | list[str] | None = None
        if made.status == "succeeded" and not removed:
            url = f"{request.base_url}replicate/delivery/{made.id}/out.png"
            output = [url] if made.listed else url
        base = f"{request.base_url}replicate/v1/predictions/{made.id}"
        return {
            "id": made.id,
            "model": made.model,
            "version": made.version,
            "input": {} if removed else made.input,
            "output": output,
            "logs": "",
            "data_removed": removed,
            "error": made.error if made.status == made.ending else None,
            "status": made.status,
            "created_at": iso(made.created),
            "metrics": {"predict_time": 0.65} if made.ended is not None else {},
            "urls": {"get": base, "cancel": f"{base}/cancel", "web": "https://replicate.example"},
        }

    def _look(self, made: Prediction) -> None:
        """Let a prediction come forward by a look at it."""
        if made.ended is not None:
            return
        now = self.clock.timestamp()
        made.looks += 1
        if made.deadline is not None and now >= made.deadline:
            made.status = made.ending = "aborted" if made.status == "starting" else "canceled"
        elif made.looks > LOOKS and (made.making is None or made.making.done()):
            made.status = made.ending
        else:
            made.status = "processing" if made.looks > 1 else "starting"
        if made.status == made.ending:
            made.ended = now

    async def _get(self, request: Request, prediction_id: str) -> Response:
        made = self.predictions.get(prediction_id)
        if made is None:
            return _not_found()
        if made.making is not None and made.looks >= LOOKS:
            await asyncio.wait({made.making}, timeout=WAIT_SECONDS)
        with self._lock:
            self._look(made)
        return JSONResponse(self._shown(request, made))

    async def _cancel(self, request: Request, prediction_id: str) -> Response:
        made = self.predictions.get(prediction_id)
        if made is None:
            return _not_found()
        if made.ended is None:
            made.status = made.ending = "canceled"
            made.ended = self.clock.timestamp()
        return JSONResponse(self._shown(request, made))

    async def _list(
        self, request: Request, created_after: datetime | None = None, cursor: int = 0
    ) -> Response:
        found = [
            each
            for each in sorted(self.predictions.values(), key=lambda one: one.created)[::-1]
            if created_after is None or each.created >= created_after
        ]
        page = found[cursor : cursor + A_PAGE]
        more = len(found) > cursor + A_PAGE
        here = str(request.url).partition("?")[0]
        return JSONResponse(
            {
                "next": f"{here}?cursor={cursor + A_PAGE}" if more else None,
                "previous": None,
                "results": [self._shown(request, each) for each in page],
            }
        )

    async def _delivery(self, prediction_id: str, name: str) -> Response:
        made = self.predictions.get(prediction_id)
        if made is None or made.ended is None or not made.picture:
            return Response("Not found", 404)
        if self.clock.timestamp() >= made.ended + KEPT_SECONDS:
            return Response("Not found", 404)
        return Response(made.picture, media_type="image/png")


def _refusal(given: bool) -> Response:
    detail = (
        "Invalid or expired API token." if given else "You did not pass an authentication token"
    )
    return JSONResponse({"title": "Unauthenticated", "detail": detail, "status": 401}, 401)


def _refuse(request: Request) -> Response | None:
    schemes = (keyed("authorization", f"{word} {TOKEN}", _refusal) for word in ("Bearer", "Token"))
    answers = [refuse(request) for refuse in schemes]
    return None if None in answers else answers[0]


async def _body(request: Request) -> dict[str, Any] | Response:
    """The body of an order whose outer form is right, or what is wrong."""
    prefer, after = request.headers.get("prefer"), request.headers.get("cancel-after")
    if prefer is not None and not _PREFER.fullmatch(prefer):
        return _invalid("pattern", "Prefer", "does not match")
    if after is not None and (not _AFTER.fullmatch(after) or _seconds(after) < 5):
        return _invalid("pattern", "Cancel-After", "must be a duration of at least 5 seconds")
    try:
        body = await request.json()
    except ValueError:
        return JSONResponse({"detail": "Malformed JSON", "status": 400}, 400)
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        return _invalid("required", "input", "input is required")
    unknown = sorted(set(body) - _TOP)
    if unknown:
        return _invalid("additional_property_not_allowed", unknown[0], "not allowed")
    return body


def _refused_input(
    given: dict[str, Any], fields: dict[str, type], required: str
) -> Response | None:
    if required not in given:
        return _invalid("required", "input", f"{required} is required")
    wrong = wrong_fields(given, fields)
    if wrong:
        name, _, says = wrong[0].partition(": ")
        kind = "additional_property_not_allowed" if "unknown" in says else "invalid_type"
        return _invalid(kind, f"input.{name}", says)
    if given.get("aspect_ratio", "1:1") not in _RATIOS:
        return _invalid("enum", "input.aspect_ratio", f"must be one of {', '.join(_RATIOS)}")
    return None


def _invalid(kind: str, where: str, says: str) -> Response:
    return JSONResponse(
        {
            "detail": f"- {where}: {says}\n",
            "status": 422,
            "title": "Input validation failed",
            "invalid_fields": [{"type": kind, "field": where, "description": says}],
        },
        422,
    )


def _not_found() -> Response:
    return JSONResponse({"detail": "Not found.", "status": 404}, 404)


def _new_id() -> str:
    return "".join(secrets.choice(_ID) for _ in range(26))


def _seconds(written: str) -> float:
    if written.isdigit():
        return float(written)
    units = {"h": 3600, "m": 60, "s": 1}
    return float(
        sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", written))
    )
