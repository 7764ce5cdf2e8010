"""What checks and people said of pictures, and what other limits would have done."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from photopipe_dagster.api.pages.rendering import PageRoute, Visitor
from photopipe_dagster.publishing.seen_pictures import seen_pictures
from photopipe_dagster.quality.report import counted, tried

PERIODS: Final = (7, 30, 90, 365)
"""Days that can be chosen."""

router = APIRouter(route_class=PageRoute)


@router.get("/quality")
def quality(visit: Visitor, days: Annotated[int, Query(ge=1, le=3650)] = 30) -> Response:
    """The pictures of a period by theme, risk and kind, and limits tried on them.

    Args:
        days: How long the period is, until now.
    """
    ledger = visit.state.ledger
    pictures = list(seen_pictures(ledger, ledger.database.now() - timedelta(days=days)))
    return visit.page(
        "quality.html",
        days=days,
        periods=PERIODS,
        rows=counted(pictures),
        limits=tried(pictures),
    )
