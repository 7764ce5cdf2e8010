"""The dashboard: how the shop's photos are doing, and what needs attention."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from photopipe_dagster.api.pages import charts
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor
from photopipe_dagster.core.errors import BUDGET
from photopipe_dagster.ledger.jobs.statuses import WORKING, JobStatus

PERIODS: Final = {1: "Today", 7: "7 days", 30: "30 days"}

_SHOWN: Final = 5

router = APIRouter(route_class=PageRoute)


@router.get("/")
def dashboard(visit: Visitor, days: str = "7") -> Response:
    """Today, the last 7 or the last 30 days (UTC)."""
    ledger = visit.state.ledger
    chosen = int(days) if days in map(str, PERIODS) else 7
    figures = ledger.dashboard.figures(chosen)
    by_status = ledger.jobs.stats().by_status
    return visit.page(
        "dashboard.html",
        periods=PERIODS,
        days=chosen,
        figures=figures,
        columns=charts.columns(figures.points),
        total=sum(by_status.values()),
        # Those that wait for a person have a tile of their own.
        under_way=max(0, sum(by_status[each] for each in WORKING) - ledger.reviews.count()),
        waits={each: by_status[each] for each in (JobStatus.NEW, JobStatus.QUEUED)},
        budget=(ledger.budget.day(), ledger.budget.month()),
        given_up=ledger.dashboard.given_up(_SHOWN),
        stalled=ledger.dashboard.stalled(_SHOWN),
        breakers=ledger.breakers.down(),
        due_later={
            {None: "the time of its next try", BUDGET: "the budget"}.get(name, name): count
            for name, count in ledger.dispatches.due_later().items()
        },
        reviews=ledger.reviews.waiting(limit=_SHOWN),
    )
