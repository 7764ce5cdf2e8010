"""Pictures of jobs: small ones from our own address, whole ones by a URL that lives for seconds."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.jobs import KnownJob, PictureKind
from photopipe_dagster.api.pages.rendering import PageRoute
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.api.thumbnails import WIDTHS, next_width
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger.jobs.model import Job

WHOLE_SECONDS: Final = 60
"""How long the URL of a whole picture lives: it is followed at once."""

_KEPT: Final = {"Cache-Control": "private, max-age=3600"}
"""For browsers; a picture that changes has another address."""

router = APIRouter(route_class=PageRoute, dependencies=[Depends(require(Scope.READ))])


@router.get("/pictures/{job_id}/{picture}")
def small(
    job: KnownJob,
    state: State,
    picture: PictureKind,
    width: Annotated[int, Query(ge=1, le=4096)] = WIDTHS[1],
) -> Response:
    """A small JPEG of a picture, as wide as asked for or a little wider."""
    key = _stored(job, picture)

    def read() -> bytes | None:
        found = state.store.get(key)
        return None if found is None else found.data

    # Every change of a job makes a new name: a picture may be made again under its key.
    name = f"{key}@{job.updated_at.isoformat()}"
    jpeg = state.thumbnails.get(name, next_width(width), read)
    if jpeg is None:
        raise ApiError(404, "not_stored", f"The {picture.value} is not in the store any more.")
    return Response(jpeg, media_type="image/jpeg", headers=_KEPT)


@router.get("/pictures/{job_id}/{picture}/whole")
def whole(job: KnownJob, state: State, picture: PictureKind) -> Response:
    """On to the picture itself."""
    url = state.store.presign_get(_stored(job, picture), WHOLE_SECONDS)
    return RedirectResponse(url, status_code=302)


def _stored(job: Job, picture: PictureKind) -> str:
    key = job.object_keys[Stage(picture.value)]
    if key is None:
        raise ApiError(404, "not_stored", f"The {picture.value} of this job is not stored yet.")
    return key
