"""The dashboard: how the shop's photos are doing, and what needs attention."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from photopipe_dagster.api.pages import charts, formatting
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor
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
    due_later = ledger.dispatches.due_later()
    given_up, stalled = ledger.dashboard.given_up(_SHOWN), ledger.dashboard.stalled(_SHOWN)
    reviews = ledger.reviews.waiting(limit=_SHOWN)
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
        given_up=given_up,
        in_tray=ledger.source_files.count_waiting(),
        stalled=stalled,
        titles=visit.titles([*reviews, *given_up, *stalled]),
        # What failed, but for what continues automatically.
        failed_for_good=max(0, by_status[JobStatus.FAILED] - sum(due_later.values())),
        due_later={
            "the time of its next try" if name is None else formatting.waits_for(name): count
            for name, count in due_later.items()
        },
        reviews=reviews,
    )
