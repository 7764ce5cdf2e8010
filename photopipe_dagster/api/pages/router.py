"""All pages as one router."""

from __future__ import annotations

from fastapi import APIRouter

from photopipe_dagster.api.pages import (
    add_photos,
    batches,
    collection,
    dashboard,
    gallery,
    job,
    jobs,
    login,
    other_themes,
    pictures,
    quality,
    repair,
    review,
    scenes,
    services,
    static,
    theme_editor,
    themes,
    tray,
)

router = APIRouter(include_in_schema=False)

_PAGES = (
    dashboard,
    jobs,
    job,
    other_themes,
    repair,
    add_photos,
    tray,
    batches,
    review,
    quality,
    gallery,
    theme_editor,
    themes,
    scenes,
    collection,
    pictures,
    services,
    login,
    static,
)

for _page in _PAGES:
    router.include_router(_page.router)
