"""Scenes: added, looked at with a product in them, corrected, approved."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, Response, UploadFile
from PIL import Image

from photopipe_dagster.api.body_limit import read_upload
from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.pages.rendering import PageRoute, Visit, Visitor, see_other
from photopipe_dagster.api.security import Scope, Writer, require
from photopipe_dagster.api.state import State
from photopipe_dagster.api.thumbnails import WIDTHS, next_width
from photopipe_dagster.core.errors import ConflictError, NotFoundError, PhotopipeError
from photopipe_dagster.costs.savings import savings
from photopipe_dagster.imaging.composite import CutoutPicture, Scene, compose
from photopipe_dagster.imaging.placement import Placement
from photopipe_dagster.ledger.scenes import SceneRevision, SceneState
from photopipe_dagster.operations.scenes import NOT_LOOKED_FOR, add_scene, change_scene, read_said
from photopipe_dagster.runtime.scenes import cropped, scene_picture

_SAMPLE: Final = FilePath(__file__).with_name("sample_product.webp")
_SAMPLE_SIDE: Final = 900

FIELDS: Final = (
    ("ground", "Ground line", "Share of the height from the top, where products stand.", 0.001),
    ("stand", "Standing area", "Left and right end, shares of the width.", None),
    ("azimuth", "Light from", "Degrees: 0 behind the product, 90 right, 180 camera, 270 left.", 1),
    ("elevation", "Light's height", "Degrees above the ground, 15 to 85.", 1),
    ("softness", "Softness", "Of the shadow, 0 hard to 1 soft.", 0.01),
    ("cast", "Shadow's strength", "0 none to 1 black.", 0.01),
    ("reflection", "Reflection", "Of the ground, 0 matt to 1 mirror.", 0.01),
    ("pitch_degrees", "Camera looks down", "Degrees.", 1),
    ("pixels_per_cm", "Pixels per centimetre", "At the ground line; empty where not known.", 0.01),
)
"""What the form asks: name, label, explanation, step; without a step it is a text."""

router = APIRouter(route_class=PageRoute)


@router.get("/scenes")
def scenes(visit: Visitor) -> Response:
    """All scenes, and the form that adds one."""
    return _list(visit)


@router.post("/scenes")
def add(
    state: State,
    caller: Writer,
    file: Annotated[UploadFile, File()],
    name: Annotated[str, Form(max_length=64)],
) -> Response:
    """Add a picture as a draft."""
    try:
        data = read_upload(file, state.settings.image_max_bytes)
        added = add_scene(state.ledger, state.store, name.strip(), data, by=caller.name)
    except (PhotopipeError, ApiError) as error:
        return _list(Visit(state, caller), str(error), name)
    return see_other(f"/scenes/{added.name}?revision={added.revision}", "scene_added")


@router.get("/scenes/{name}")
def scene_page(
    visit: Visitor, name: str, revision: Annotated[int | None, Query(ge=1, le=1_000_000)] = None
) -> Response:
    """One scene with a product in it, and the numbers that a person corrects."""
    return _page(visit, name, revision)


async def _said(request: Request) -> list[str]:
    form = await request.form(max_files=0, max_fields=32)
    written = {field: str(form.get(field, "")).strip() for field, *_ in FIELDS}
    said = [f"{field}={value}" for field, value in written.items() if value]
    return [*said, f"plain={int(form.get('plain') == 'yes')}"]


@router.post("/scenes/{name}")
def change(
    state: State,
    caller: Writer,
    name: str,
    said: Annotated[list[str], Depends(_said)],
    revision: Annotated[int, Form(ge=1, le=1_000_000)],
) -> Response:
    """Add a revision with other numbers.

    Args:
        revision: The newest one that the person saw.
    """
    try:
        changed = change_scene(state.ledger, name, revision, read_said(said), by=caller.name)
    except ConflictError as error:
        return _page(Visit(state, caller), name, None, str(error), status=409)
    except NotFoundError:
        raise
    except PhotopipeError as error:
        return _page(Visit(state, caller), name, None, str(error), status=422)
    return see_other(f"/scenes/{name}?revision={changed.revision}", "scene_changed")


@router.post("/scenes/{name}/decide")
def decide(
    state: State,
    caller: Writer,
    name: str,
    decision: Annotated[SceneState, Form()],
    revision: Annotated[int, Form(ge=1, le=1_000_000)],
) -> Response:
    """Approve or archive a revision."""
    state.ledger.scenes.decide(name, decision, by=caller.name, revision=revision)
    return see_other(f"/scenes/{name}?revision={revision}", f"scene_{decision}")


@router.get("/scenes/{name}/{revision}/{kind}.jpg", dependencies=[Depends(require(Scope.READ))])
def picture(
    state: State,
    name: str,
    revision: Annotated[int, Path(ge=1, le=1_000_000)],
    kind: str,
    width: Annotated[int, Query(ge=1, le=4096)] = WIDTHS[2],
) -> Response:
    """The scene (``whole``), or a part of it with a vase on its ground line (``sample``)."""
    scene = state.ledger.scenes.get(name, revision)
    if scene is None or kind not in ("whole", "sample"):
        raise ApiError(404, "not_found", "There is no such revision of a scene.")

    def read() -> bytes:
        whole = scene_picture(state.store, scene)
        return whole if kind == "whole" else _with_vase(whole, scene)

    jpeg = state.thumbnails.get(f"scene/{scene.label}/{kind}/1", next_width(width), read)
    return Response(
        jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
    )


def _with_vase(whole: bytes, scene: SceneRevision) -> bytes:
    with Image.open(_SAMPLE) as image:
        product = CutoutPicture.from_rgba(np.asarray(image.convert("RGBA")))
    canvas = scene.view.fitted(_SAMPLE_SIDE, _SAMPLE_SIDE)
    look = Scene(
        scene.view.light,
        Placement(share=0.5, max_scale=8, min_side=_SAMPLE_SIDE),
        stand=scene.view.stand_in(*canvas),
    )
    return compose(product, cropped(whole, scene, canvas), look).jpeg


def _list(visit: Visit, fault: str = "", name: str = "") -> Response:
    return visit.page(
        "scenes.html",
        status=422 if fault else 200,
        scenes=visit.state.ledger.scenes.newest(),
        saved=savings(visit.state.settings, visit.state.ledger),
        fault=fault,
        name=name,
        not_looked_for=NOT_LOOKED_FOR,
    )


def _page(
    visit: Visit, name: str, revision: int | None, fault: str = "", status: int = 200
) -> Response:
    history = visit.state.ledger.scenes.history(name)
    found = [each for each in history if revision in (None, each.revision)]
    if not found:
        raise NotFoundError("revision of the scene", f"{name}@{revision}", "scene show")
    scene = found[0]
    counts = visit.state.ledger.scenes.approved(name)
    return visit.page(
        "scene.html",
        status=status,
        scene=scene,
        history=history,
        counts=None if counts is None else counts.revision,
        fault=fault,
        fields=[(*field, _value(scene, field[0])) for field in FIELDS],
        not_looked_for=NOT_LOOKED_FOR,
    )


def _value(scene: SceneRevision, name: str) -> Any:
    view, light = scene.view, scene.view.light
    match name:
        case "stand":
            return f"{view.stand[0]:g},{view.stand[1]:g}"
        case "azimuth" | "elevation":
            return f"{getattr(light, f'{name}_degrees'):g}"
        case "softness" | "cast" | "reflection":
            return f"{getattr(light, name):g}"
        case _:
            value = getattr(view, name)
            return "" if value is None else f"{value:g}"
