"""Lists that are longer than a page: what the address asks for, and the way to the next page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus

WAITING: Final = "REVIEW"
"""In the filter by status: jobs that wait for a person."""

_MAX_PAGE: Final = 10_000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What the address asks for; what makes no sense in it is ignored."""

    status: str = ""
    theme: str = ""
    sku: str = ""
    number: int = 1
    error: str = ""

    @classmethod
    def of(
        cls, status: str = "", theme: str = "", sku: str = "", page: str = "1", error: str = ""
    ) -> ListQuery:
        """Read the query of an address."""
        known = status in (*JobStatus, WAITING)
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1
        return cls(
            status if known else "",
            theme[:64].replace("\0", ""),
            sku.strip()[:MAX_SKU_CHARACTERS].replace("\0", ""),
            min(max(number, 1), _MAX_PAGE),
            error if error in list(ErrorCode) else "",
        )

    @property
    def narrowed(self) -> bool:
        """Whether anything but all is asked for."""
        return bool(self.status or self.theme or self.sku or self.error)

    @property
    def only_failed(self) -> bool:
        """Whether all that is asked for has failed."""
        return self.status == JobStatus.FAILED or (not self.status and bool(self.error))

    @property
    def query(self) -> JobQuery:
        """As the ledger is asked."""
        waiting = self.status == WAITING
        return JobQuery(
            (JobStatus(self.status),) if self.status and not waiting else (),
            theme=self.theme or None,
            text=self.sku or None,
            waiting=waiting,
            error=ErrorCode(self.error) if self.error else None,
        )

    def path(self, base: str, number: int) -> str:
        """The address of another page of the same list, which is at `base`."""
        asked = {
            "status": self.status,
            "theme": self.theme,
            "sku": self.sku,
            "error": self.error,
        }
        query = {name: value for name, value in asked.items() if value}
        if number > 1:
            query["page"] = str(number)
        return base + (f"?{urlencode(query)}" if query else "")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, with the addresses of its neighbours."""

    items: Sequence[Item]
    newer: str | None
    older: str | None


def page_of(asked: ListQuery, base: str, size: int, find: Callable[..., list[Item]]) -> Page[Item]:
    """Read the page that is asked for of a list at `base`.

    Args:
        find: Gives at most ``limit`` items, after ``offset`` others.
    """
    found = find(limit=size + 1, offset=(asked.number - 1) * size)
    return Page(
        found[:size],
        asked.path(base, asked.number - 1) if asked.number > 1 else None,
        asked.path(base, asked.number + 1) if len(found) > size else None,
    )
