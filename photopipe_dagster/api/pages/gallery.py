"""The gallery: published pictures, by theme and SKU, and a ZIP of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from photopipe_dagster.api.pages.pagination import ListQuery, page_of
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.downloads import zipped

_A_PAGE: Final = 24

MOST: Final = 500
"""Pictures of one ZIP; `photopipe download` has no limit."""

router = APIRouter(route_class=PageRoute)


@router.get("/gallery")
def gallery(visit: Visitor, asked: Annotated[ListQuery, Depends(ListQuery.of)]) -> Response:
    """Pictures that are done, newest first."""
    which = replace(asked, status=JobStatus.DONE).query
    found = page_of(asked, "/gallery", _A_PAGE, partial(visit.state.ledger.jobs.find, which))
    return visit.page(
        "gallery.html",
        asked=asked,
        page=found,
        titles=visit.titles(found.items),
        themes=visit.state.themes.offered,
        most=MOST,
    )


@router.get("/gallery/pictures.zip", dependencies=[Depends(require(Scope.READ))])
def download(state: State, asked: Annotated[ListQuery, Depends(ListQuery.of)]) -> Response:
    """What the gallery shows, the newest first, as a ZIP that is sent while it is made."""
    which = replace(asked, status=JobStatus.DONE).query
    jobs = state.ledger.jobs.find(which, limit=MOST)
    headers = {"Content-Disposition": 'attachment; filename="pictures.zip"'}
    return StreamingResponse(
        zipped(state.store, jobs), media_type="application/zip", headers=headers
    )
