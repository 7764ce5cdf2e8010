"""Where sources announce photos."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from photopipe_dagster.api.body_limit import read_body
from photopipe_dagster.api.errors import ApiError, documented, photo_unavailable
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.state import api_state
from photopipe_dagster.core.errors import NetworkError, RateLimitError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import (
    SourcePlugin,
    Webhook,
    WebhookReader,
    WebhookRefusedError,
)
from photopipe_dagster.sources.registry import sources_in_use

MAX_BODY_BYTES: Final = 64 * 1024

UNVERIFIED_HEADER: Final = "X-Photopipe-Warning"


class BareRoute(APIRoute):
    """A route whose endpoint takes the request and gives the response, and nothing between.

    It is described like any other. Finding parameters that there are none of takes a tenth of a
    webhook's time.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        return self.endpoint


class WebhookAnswer(BaseModel):
    """What became of an announcement."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["WebhookAnswer"]})

    status: Literal["created", "duplicate"]
    jobId: str  # noqa: N815  # its name in JSON
    message: str
    warnings: list[str] | None = Field(
        None, description="Optional fields that could not be read and were left out, each with why."
    )


def router(settings: Settings) -> APIRouter:
    """The routes of the sources in use.

    Raises:
        ConfigurationError: The webhooks of a source cannot be verified with these settings.
    """
    routes = APIRouter(prefix="/api/webhooks", tags=["webhooks"], route_class=BareRoute)
    for plugin in sources_in_use(settings):
        if plugin.webhook is not None:
            _add_route(routes, plugin, plugin.webhook, plugin.open_webhook(settings))
    return routes


def _add_route(
    routes: APIRouter, plugin: SourcePlugin, webhook: Webhook, reader: WebhookReader
) -> None:
    @routes.post(
        webhook.path,
        response_model=WebhookAnswer,
        status_code=201,
        responses={200: {"model": WebhookAnswer}, **documented(400, 401, 413, 415, 422, 503)},
        description=webhook.description,
        openapi_extra=dict(webhook.openapi),
    )
    async def receive_image(request: Request) -> Response:
        body = await read_body(request, MAX_BODY_BYTES)
        try:
            announcement = reader.read(request.headers, body)
        except WebhookRefusedError as error:
            raise ApiError(error.status, error.code, error.message) from None
        intake = api_state(request).intake
        try:
            accepted = await intake.accept(announcement, plugin, arrives_by=webhook.arrives_by)
        except (NetworkError, RateLimitError) as error:  # of a photo without a digest
            raise photo_unavailable(error) from None
        answer = WebhookAnswer(
            status="created" if accepted.created else "duplicate",
            jobId=accepted.key.job_id,
            message="Job created successfully"
            if accepted.created
            else "Job already exists for this image",
            warnings=list(announcement.warnings) or None,
        )
        response = JSONResponse(
            answer.model_dump(exclude_none=True), 201 if accepted.created else 200
        )
        if not reader.verifies:
            response.headers[UNVERIFIED_HEADER] = "signature not verified: no secret is configured"
        return response
