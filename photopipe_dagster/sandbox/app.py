"""The simulators of 3JMS, Freepik/Magnific and Shopify as one application.

Clients are pointed at it by configuration alone: ``THREEJMS_API_URL=…/threejms``,
``FREEPIK_API_URL=…/freepik``, ``SHOPIFY_STORE=…/shopify``. What happens inside is seen and set
under ``/_sandbox``.
"""

from __future__ import annotations

from fastapi import FastAPI

from photopipe_dagster.sandbox import control, threejms
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.freepik import routes as freepik
from photopipe_dagster.sandbox.shopify import routes as shopify
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
    return app
