"""Services that are down: a person who has fixed one has it tried at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from photopipe_dagster.api.pages.rendering import PageRoute, see_other
from photopipe_dagster.api.security import Writer
from photopipe_dagster.api.state import State

router = APIRouter(route_class=PageRoute)


@router.post("/services/{name}/check")
def check_now(
    state: State,
    caller: Writer,
    name: Annotated[str, Path(max_length=64, pattern="^[a-z0-9_.-]+$")],
) -> Response:
    """Let one photo try a service that is down, without waiting for its time."""
    return see_other("/", "service_asked" if state.ledger.breakers.ask_now(name) else "service_up")
