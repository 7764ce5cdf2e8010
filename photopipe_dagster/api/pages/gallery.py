"""The gallery: published pictures, by theme and SKU."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response

from photopipe_dagster.api.pages.pagination import ListQuery, page_of
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor
from photopipe_dagster.ledger.jobs.statuses import JobStatus

_A_PAGE: Final = 24

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
    )
