"""Repair a cut-out by hand: strokes and clicks over the photo, or a file of another program."""

from __future__ import annotations

from typing import Annotated, Final

import cv2
import numpy as np
from fastapi import APIRouter, File, Response, UploadFile
from fastapi.responses import JSONResponse

from photopipe_dagster.api.body_limit import read_upload
from photopipe_dagster.api.decisions import Strokes
from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.jobs import KnownJob
from photopipe_dagster.api.pages.rendering import PageRoute, Visit, see_other
from photopipe_dagster.api.security import Editor, Writer
from photopipe_dagster.api.state import State
from photopipe_dagster.api.thumbnails import WIDTHS
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.operations.photos import estimate_photo
from photopipe_dagster.operations.repairs import can_repair

router = APIRouter(route_class=PageRoute)

SHOWN: Final = WIDTHS[-1]
"""Longer side of the photo on the page, pixels."""


@router.get("/jobs/{job_id}/repair")
def repair_page(state: State, job: KnownJob, caller: Editor) -> Response:
    """The page that a cut-out is repaired on."""
    if not can_repair(job):
        raise ApiError(409, "conflict", "This job has no cut-out that can be repaired now.")
    repairs = state.cutouts.repairs
    opened = repairs.open(job)
    size = (opened.rgba.shape[1], opened.rgba.shape[0])
    price = None
    if job.object_keys[Stage.BACKGROUND] is None:
        [estimate] = estimate_photo(state.settings, state.ledger, state.store, [job.key], size)
        price = estimate.total or None
    return Visit(state, caller).page(
        "repair.html",
        job=job,
        digest=opened.digest,
        last=repairs.last(job),
        others=state.ledger.jobs.of_photo(job),
        size=size,
        shown=SHOWN,
        price=price,
    )


@router.post("/jobs/{job_id}/repair/preview")
def preview(state: State, caller: Writer, job: KnownJob, told: Strokes) -> Response:
    """The alpha after some operations, as a PNG of the size that the page shows."""
    opened = state.cutouts.get(job, told.digest)
    alpha = opened.after(told.operations)
    shrink = min(1.0, SHOWN / max(alpha.shape))
    size = (max(1, round(alpha.shape[1] * shrink)), max(1, round(alpha.shape[0] * shrink)))
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    _, png = cv2.imencode(".png", np.asarray(small), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return Response(png.tobytes(), media_type="image/png", headers={"Cache-Control": "no-store"})


@router.post("/jobs/{job_id}/repair")
def repair(state: State, caller: Writer, job: KnownJob, told: Strokes) -> Response:
    """Store the cut-out as it was repaired; the answer says where to go on."""
    opened = state.cutouts.get(job, told.digest)
    state.cutouts.repairs.repair(job, opened, told.operations, by=caller.name)
    return JSONResponse({"next": f"/jobs/{job.id}?said=repaired"})


@router.post("/jobs/{job_id}/repair/upload")
def upload(
    state: State, caller: Writer, job: KnownJob, file: Annotated[UploadFile, File()]
) -> Response:
    """Take a cut-out that was made with another program."""
    data = read_upload(file, state.settings.image_max_bytes)
    state.cutouts.repairs.upload(job, data, by=caller.name)
    return see_other(f"/jobs/{job.id}", "repaired")


@router.post("/jobs/{job_id}/repair/undo")
def undo(state: State, caller: Writer, job: KnownJob) -> Response:
    """Take the last repair back."""
    state.cutouts.repairs.undo(job, by=caller.name)
    return see_other(f"/jobs/{job.id}", "repair_undone")
