"""Where 3JMS announces photos."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json

from photopipe_dagster.api.body_limit import read_body
from photopipe_dagster.api.errors import ApiError, documented
from photopipe_dagster.api.state import api_state
from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.sources.intake import arrival, log_new
from photopipe_dagster.sources.threejms.models import Announcement
from photopipe_dagster.sources.threejms.webhook import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    SignatureError,
)

MAX_BODY_BYTES: Final = 64 * 1024

EVENTS: Final = frozenset({"image.created", "image.uploaded"})
"""Both names are in use for the same thing: 3JMS has no documented one."""

UNVERIFIED_HEADER: Final = "X-Photopipe-Warning"

_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)

_EXAMPLE = {
    "event": "image.created",
    "sku": "VWS200433868",
    "imageUrl": "https://3jms.example/photos/abc123.jpg",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "takenAt": "2026-11-01T12:00:00Z",
    "theme": "kitchen",
}

_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["event", "sku", "imageUrl", "sha256"],
                    "properties": {
                        "event": {"type": "string", "enum": sorted(EVENTS)},
                        "sku": {"type": "string", "minLength": 1, "maxLength": 255},
                        "imageUrl": {"type": "string", "format": "uri"},
                        "sha256": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"},
                        "takenAt": {"type": "string", "format": "date-time"},
                        "theme": {"type": "string"},
                    },
                },
                "example": _EXAMPLE,
            }
        },
    },
    "parameters": [
        {"in": "header", "name": SIGNATURE_HEADER, "schema": {"type": "string"}},
        {"in": "header", "name": TIMESTAMP_HEADER, "schema": {"type": "integer"}},
    ],
}


class BareRoute(APIRoute):
    """A route whose endpoint takes the request and gives the response, and nothing between.

    It is described like any other. Finding parameters that there are none of takes a tenth of a
    webhook's time.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        return self.endpoint


router = APIRouter(prefix="/api/webhooks", tags=["webhooks"], route_class=BareRoute)


class WebhookAnswer(BaseModel):
    """What became of an announcement."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "created",
                "jobId": "xyz123abc456def7",
                "message": "The job was created.",
            }
        }
    )

    status: Literal["created", "duplicate"]
    jobId: str  # noqa: N815  # its name in JSON
    message: str


@router.post(
    "/3jms/images",
    response_model=WebhookAnswer,
    status_code=201,
    responses={200: {"model": WebhookAnswer}, **documented(400, 401, 413, 415, 422, 503)},
    openapi_extra=_REQUEST,
)
async def receive_image(request: Request) -> Response:
    """Announce a photo. The same photo again, at once or years later, is the same job.

    The request must be signed; see `photopipe_dagster.sources.threejms.webhook`. Events other than
    `image.created` and `image.uploaded` are refused with 422.
    """
    state = api_state(request)
    body = await read_body(request, MAX_BODY_BYTES)
    try:
        state.verifier.verify(
            body, request.headers.get(SIGNATURE_HEADER), request.headers.get(TIMESTAMP_HEADER)
        )
    except SignatureError as error:
        raise ApiError(401, "invalid_signature", str(error)) from None
    photo = arrival(state.settings, _read(request, body), "webhook")
    created = await state.intake.submit(photo)
    if created:
        log_new(photo)
    answer = WebhookAnswer(
        status="created" if created else "duplicate",
        jobId=photo.key.job_id,
        message="The job was created." if created else "There is a job for this photo already.",
    )
    response = JSONResponse(answer.model_dump(), status_code=201 if created else 200)
    if not state.verifier.enforced:
        response.headers[UNVERIFIED_HEADER] = "signature not verified: no secret is configured"
    return response


def _read(request: Request, body: bytes) -> Announcement:
    """The announcement in a genuine request.

    Raises:
        ApiError: 415, 400 or 422; says what is wrong.
    """
    content_type = request.headers.get("content-type", "application/json")
    if not _JSON.fullmatch(content_type.partition(";")[0].strip()):
        raise ApiError(415, "unsupported_media_type", "Send JSON, as application/json.")
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise ApiError(400, "invalid_json", "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise ApiError(400, "invalid_json", "The body must be a JSON object.")
    if not isinstance(content.get("event"), str) or content["event"] not in EVENTS:
        raise ApiError(
            422,
            "unsupported_event",
            f"event: must be {' or '.join(sorted(EVENTS))}; nothing else is handled here.",
        )
    try:
        return Announcement.read(content)
    except PhotoRejectedError as error:
        raise ApiError(422, "invalid_announcement", error.message) from None
