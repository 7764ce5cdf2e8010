"""The API as one application."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from photopipe_dagster.api import (
    batches,
    costs,
    decisions,
    deliveries,
    docs,
    external_jobs,
    files,
    health,
    jobs,
    metrics,
    photos,
    scenes,
    themes,
    webhooks,
)
from photopipe_dagster.api.error_handlers import add_error_handlers
from photopipe_dagster.api.health import Probes
from photopipe_dagster.api.logs import keep_urls_out_of_logs
from photopipe_dagster.api.middleware import OutermostMiddleware
from photopipe_dagster.api.open_cutouts import OpenCutouts
from photopipe_dagster.api.pages.router import PAGES
from photopipe_dagster.api.rate_limit import RateLimiter
from photopipe_dagster.api.sessions import Access
from photopipe_dagster.api.state import ApiState
from photopipe_dagster.api.thumbnails import Thumbnails
from photopipe_dagster.api.warm_up import warm_up_rollups
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.repairs import CutoutRepairs
from photopipe_dagster.runtime.configuration import read_configuration
from photopipe_dagster.runtime.photo_fetcher import fetch_photo
from photopipe_dagster.sources.intake import Intake
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.storage.local import LocalStore
from photopipe_dagster.storage.signing import UrlSigner, load_or_create_secret


def create_app(
    settings: Settings, ledger: Ledger, store: ObjectStore, *, lineage: Lineage | None = None
) -> FastAPI:
    """Build the application. The caller closes the ledger when it is done.

    Args:
        lineage: Where Dagster is told of pictures; DAGSTER_HOME's where it is not given.

    Raises:
        ConfigurationError: The settings cannot work; says which variable to set.
    """
    app = FastAPI(
        title="Photopipe",
        summary="Product photos in, pictures that sell out.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=warm_up_rollups(ledger),
    )
    ledger.themes.registry(settings)  # names of themes that there are not are said at the start
    secret = load_or_create_secret(settings)
    lineage = lineage or Lineage()
    app.state.photopipe = ApiState(
        settings,
        ledger,
        store,
        Intake(settings, ledger, store, partial(fetch_photo, settings)),
        lineage,
        Access(settings, ledger.tokens, secret),
        RateLimiter(settings.api_rate_limit_per_minute),
        Thumbnails(settings.data_dir / "thumbnails", settings.pictures_in_memory),
        OpenCutouts(CutoutRepairs(settings, ledger, store)),
    )
    app.state.probes = Probes(settings, ledger, store, lineage)
    app.add_middleware(OutermostMiddleware, photo_bytes=settings.image_max_bytes)
    add_error_handlers(app)
    routers = [
        webhooks.router(settings),
        jobs.router,
        external_jobs.router,
        decisions.router,
        photos.router,
        batches.router,
        costs.router,
        themes.router,
        scenes.router,
        deliveries.router,
        health.router,
        docs.router,
    ]
    if settings.metrics_enabled:
        app.state.metrics = metrics.registry(ledger)
        routers.append(metrics.router)
    routers += PAGES
    if isinstance(store, LocalStore):
        signer = UrlSigner(secret)
        routers.append(files.router(store, signer, settings.image_max_bytes))
    for router in routers:
        # As they are: `include_router` builds each route again at an application's first request,
        # which takes half a second of a processor.
        app.router.routes.extend(router.routes)
    return app


def api_from_environment() -> FastAPI:
    """The application of this environment, for ``uvicorn --factory``.

    ``photopipe api`` is the better way to start it: see `photopipe_dagster.api.server`.
    """
    keep_urls_out_of_logs()
    settings = read_configuration()
    return create_app(settings, Ledger.open(settings), object_store(settings))
