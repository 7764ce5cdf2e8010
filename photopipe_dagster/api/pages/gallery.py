"""The gallery: published pictures, by theme and SKU."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response

from photopipe_dagster.api.pages.pagination import Asked, leaf
from photopipe_dagster.api.pages.rendering import PageRoute, page
from photopipe_dagster.api.security import Reader
from photopipe_dagster.api.state import State
from photopipe_dagster.ledger.jobs.statuses import JobStatus

_A_PAGE: Final = 24

router = APIRouter(route_class=PageRoute)


@router.get("/gallery")
def gallery(
    state: State,
    caller: Reader,
    asked: Annotated[Asked, Depends(Asked.of)],
) -> Response:
    """Pictures that are done, newest first."""
    which = replace(asked, status=JobStatus.DONE).query
    return page(
        "gallery.html",
        state,
        caller,
        asked=asked,
        leaf=leaf(asked, "/gallery", _A_PAGE, partial(state.ledger.jobs.find, which)),
        themes=state.themes.offered,
    )
