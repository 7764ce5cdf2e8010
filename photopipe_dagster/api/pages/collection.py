"""A collection as the shop's grid shows it, with numbers, those that are set apart first."""

from __future__ import annotations

from fastapi import APIRouter, Response

from photopipe_dagster.api.pages.rendering import PageRoute, Visitor
from photopipe_dagster.operations.collection import collection_report

router = APIRouter(route_class=PageRoute)


@router.get("/themes/{name}/collection")
def collection(visit: Visitor, name: str) -> Response:
    """The newest pictures of a theme."""
    state = visit.state
    found = collection_report(state.ledger, state.store, state.themes.get(name).name)
    return visit.page("collection.html", report=found)
