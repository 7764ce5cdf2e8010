"""The tray: files whose name does not say which product they show. A person says so here."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Response

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor, see_other
from photopipe_dagster.api.security import Scope, Writer, require
from photopipe_dagster.api.state import State
from photopipe_dagster.api.thumbnails import WIDTHS
from photopipe_dagster.core.errors import JobError
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS
from photopipe_dagster.operations import tray

IN_SIGHT: Final = 50
"""Files that are shown; the others come when these are settled."""

router = APIRouter(route_class=PageRoute)


@router.get("/photos/tray")
def tray_page(visit: Visitor) -> Response:
    """The files that wait, the newest first."""
    files = visit.state.ledger.source_files
    return visit.page("tray.html", files=files.waiting(limit=IN_SIGHT), total=files.count_waiting())


@router.get("/photos/tray/{file_id}/picture", dependencies=[Depends(require(Scope.READ))])
def picture(state: State, file_id: str) -> Response:
    """A small picture of a file that waits."""
    file = state.ledger.source_files.require_waiting(file_id)

    def read() -> bytes:
        return asyncio.run(tray.read_file(state.settings, file))

    try:
        jpeg = state.thumbnails.get(f"{file.id}@{file.version}", WIDTHS[1], read)
    except JobError as error:
        raise ApiError(404, "no_picture", error.message) from None
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private"})


@router.post("/photos/tray/{file_id}")
def settle(
    caller: Writer,
    state: State,
    file_id: str,
    sku: Annotated[str, Form(max_length=MAX_SKU_CHARACTERS, pattern=r"^[^\x00]*$")] = "",
    drop: Annotated[bool, Form()] = False,
) -> Response:
    """Take the SKU that a person gives a file, or drop the file."""
    if drop:
        state.ledger.source_files.drop(file_id, by=caller.name)
        return see_other("/photos/tray", "dropped")
    giving = tray.give_sku(state.settings, state.ledger, state.store, file_id, sku, by=caller.name)
    asyncio.run(giving)
    return see_other("/photos/tray", "sku_given")
