"""The list of jobs: filter, search by SKU, retry and cancel."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response

from photopipe_dagster.api.pages.pagination import WAITING, ListQuery, page_of
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor, see_other
from photopipe_dagster.core.error_guide import GUIDE
from photopipe_dagster.ledger.jobs.model import can_cancel, can_retry

_A_PAGE: Final = 25

router = APIRouter(route_class=PageRoute)


@router.get("/jobs")
def job_list(visit: Visitor, asked: Annotated[ListQuery, Depends(ListQuery.of)]) -> Response:
    """Jobs, newest first. Who searches for a job's id is taken to the job."""
    state = visit.state
    if _could_be_id(asked.sku) and state.ledger.jobs.get(asked.sku) is not None:
        return see_other(f"/jobs/{asked.sku}")
    found = page_of(asked, "/jobs", _A_PAGE, partial(state.ledger.jobs.find, asked.query))
    return visit.page(
        "jobs.html",
        asked=asked,
        page=found,
        titles=visit.titles(found.items),
        can_cancel=can_cancel,
        can_retry=can_retry,
        themes=state.themes.offered,
        waiting_filter=WAITING,
        errors=GUIDE,
    )


def _could_be_id(text: str) -> bool:
    return len(text) == 16 and text.isascii() and text.isalnum() and text == text.lower()
