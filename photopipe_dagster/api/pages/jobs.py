"""The list of jobs: filter, search by SKU, retry and cancel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Response

from photopipe_dagster.api.pages.notices import notice
from photopipe_dagster.api.pages.rendering import PageRoute, page, see_other
from photopipe_dagster.api.security import Caller, Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.ledger.job import can_cancel
from photopipe_dagster.ledger.overview import JobSearch
from photopipe_dagster.ledger.statuses import JobStatus
from photopipe_dagster.photo import MAX_SKU_CHARACTERS

WAITING: Final = "REVIEW"
"""In the filter by status: jobs that wait for a person."""

_A_PAGE: Final = 25
_MAX_PAGE: Final = 10_000

router = APIRouter(route_class=PageRoute)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; what makes no sense in it is ignored."""

    status: str = ""
    theme: str = ""
    sku: str = ""
    number: int = 1

    @classmethod
    def of(cls, status: str = "", theme: str = "", sku: str = "", page: str = "1") -> Asked:
        """Read the query of an address."""
        known = status in (*JobStatus, WAITING)
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1
        return cls(
            status if known else "",
            theme[:64].replace("\0", ""),
            sku.strip()[:MAX_SKU_CHARACTERS].replace("\0", ""),
            min(max(number, 1), _MAX_PAGE),
        )

    @property
    def search(self) -> JobSearch:
        """As the ledger is asked."""
        waiting = self.status == WAITING
        status = JobStatus(self.status) if self.status and not waiting else None
        return JobSearch(status, self.theme or None, self.sku or None, waiting)

    def path(self, base: str, number: int) -> str:
        """The address of another page of the same list, which is at `base`."""
        asked = {"status": self.status, "theme": self.theme, "sku": self.sku}
        query = {name: value for name, value in asked.items() if value}
        if number > 1:
            query["page"] = str(number)
        return base + (f"?{urlencode(query)}" if query else "")


@router.get("/jobs")
def job_list(
    state: State,
    caller: Annotated[Caller, Depends(require(Scope.READ))],
    asked: Annotated[Asked, Depends(Asked.of)],
    said: str | None = None,
) -> Response:
    """Jobs, newest first. Who searches for a job's id is taken to the job."""
    if _could_be_id(asked.sku) and state.ledger.jobs.get(asked.sku) is not None:
        return see_other(f"/jobs/{asked.sku}")
    found = state.ledger.overview.search(
        asked.search, limit=_A_PAGE + 1, offset=(asked.number - 1) * _A_PAGE
    )
    return page(
        "jobs.html",
        state,
        caller,
        asked=asked,
        jobs=found[:_A_PAGE],
        newer=asked.path("/jobs", asked.number - 1) if asked.number > 1 else None,
        older=asked.path("/jobs", asked.number + 1) if len(found) > _A_PAGE else None,
        here=asked.path("/jobs", asked.number),
        can_cancel=can_cancel,
        themes=state.settings.supported_themes,
        waiting_filter=WAITING,
        notice=notice(said),
    )


def _could_be_id(text: str) -> bool:
    return len(text) == 16 and text.isascii() and text.isalnum() and text == text.lower()
