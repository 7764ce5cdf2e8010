"""The gallery: published pictures, by theme and SKU."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response

from photopipe_dagster.api.pages.jobs import Asked
from photopipe_dagster.api.pages.rendering import PageRoute, page
from photopipe_dagster.api.security import Caller, Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.ledger.overview import JobSearch
from photopipe_dagster.ledger.statuses import JobStatus

_A_PAGE: Final = 24

router = APIRouter(route_class=PageRoute)


@router.get("/gallery")
def gallery(
    state: State,
    caller: Annotated[Caller, Depends(require(Scope.READ))],
    asked: Annotated[Asked, Depends(Asked.of)],
) -> Response:
    """Pictures that are done, newest first."""
    which = JobSearch(JobStatus.DONE, asked.theme or None, asked.sku or None)
    found = state.ledger.overview.search(
        which, limit=_A_PAGE + 1, offset=(asked.number - 1) * _A_PAGE
    )
    return page(
        "gallery.html",
        state,
        caller,
        asked=asked,
        jobs=found[:_A_PAGE],
        newer=asked.path("/gallery", asked.number - 1) if asked.number > 1 else None,
        older=asked.path("/gallery", asked.number + 1) if len(found) > _A_PAGE else None,
        themes=state.settings.supported_themes,
    )
