"""All pages as one router."""

from __future__ import annotations

from fastapi import APIRouter

from photopipe_dagster.api.pages import (
    batches,
    dashboard,
    gallery,
    job,
    jobs,
    login,
    pictures,
    quality,
    review,
    static,
    themes,
)

router = APIRouter(include_in_schema=False)
for _page in (
    *(dashboard, jobs, job, batches, review, quality, gallery, themes, pictures, login, static),
):
    router.include_router(_page.router)
