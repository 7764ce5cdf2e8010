"""The simulators of 3JMS, Freepik/Magnific and Shopify as one application.

Clients are pointed at it by configuration alone: ``THREEJMS_API_URL=…/threejms``,
``FREEPIK_API_URL=…/freepik``, ``SHOPIFY_STORE=…/shopify``; other providers are in `providers`. What
happens inside is seen and set under ``/_sandbox``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response

from photopipe_dagster.sandbox import control, threejms
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.freepik import routes as freepik
from photopipe_dagster.sandbox.shopify import routes as shopify
from photopipe_dagster.sandbox.shopify.disk import ShopOnDisk
from photopipe_dagster.sandbox.state import SandboxState


def create_app(config: SandboxConfig | None = None) -> FastAPI:
    """Build a sandbox; its state is ``app.state.sandbox``."""
    state = SandboxState(config or SandboxConfig())
    app = FastAPI(title="Photopipe sandbox", openapi_url=None)
    app.state.sandbox = state
    app.include_router(control.router(state), prefix="/_sandbox")
    app.include_router(
        threejms.router(state.threejms, state.traffic, state.config), prefix="/threejms"
    )
    app.include_router(freepik.router(state.freepik, state.traffic), prefix="/freepik")
    app.include_router(shopify.router(state.shopify, state.traffic), prefix="/shopify")
    if state.config.shop_folder is not None:
        _keep_shop(app, ShopOnDisk(state.shopify, state.config.shop_folder))
    for stand_in in state.stand_ins:
        app.include_router(stand_in.router(), prefix=f"/{stand_in.path}")
    return app


def _keep_shop(app: FastAPI, disk: ShopOnDisk) -> None:
    """Write the shop after each request that may have changed it."""

    @app.middleware("http")
    async def keep(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        if request.method != "GET":
            await asyncio.to_thread(disk.save)
        return response
