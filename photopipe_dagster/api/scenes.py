"""Scenes over HTTP: pictures that whole collections stand in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, File, Form, UploadFile
from pydantic import ConfigDict, Field

from photopipe_dagster.api.body_limit import read_upload
from photopipe_dagster.api.errors import GUARDED, documented
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.jobs import CamelModel, Usd
from photopipe_dagster.api.security import Editor, Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.ledger.scenes import SceneRevision, SceneState
from photopipe_dagster.operations.scenes import add_scene, change_scene

router = APIRouter(
    prefix="/api/scenes",
    tags=["scenes"],
    dependencies=[Depends(require(Scope.READ))],
    responses=GUARDED,
)

Name = Annotated[str, Field(pattern="^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
_Number = Annotated[float | None, Field(ge=0, le=100_000)]


class SceneNumbers(CamelModel):
    """What a person says of a scene; what is null stays as it is.

    Lengths are shares of the picture: `ground` of its height from the top; `stand` is the left and
    right end of the standing area, `safe` left, top, right and bottom of what pictures may show.
    Light from `azimuth` 0 comes from behind the product, from 90 from the right. `plain`: only
    ground is seen, no far edge.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["SceneNumbers"]})

    ground: _Number = None
    stand: tuple[float, float] | None = None
    safe: tuple[float, float, float, float] | None = None
    pitch_degrees: _Number = None
    pixels_per_cm: _Number = None
    azimuth: _Number = None
    elevation: _Number = None
    softness: _Number = None
    contact: _Number = None
    ambient: _Number = None
    cast: _Number = None
    reflection: _Number = None
    plain: bool | None = None


class SceneChange(SceneNumbers):
    """A change, with the newest `revision` that its author has seen."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["SceneChange"]})

    revision: Annotated[int, Field(ge=1, le=1_000_000)]


class SceneView(CamelModel):
    """A revision of a scene. `confidence` says how sure each estimate is, 0 to 1."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["SceneView"]})

    name: str
    revision: int
    state: SceneState
    digest: str
    width: int
    height: int
    numbers: SceneNumbers
    confidence: dict[str, float]
    provider: str
    cost_usd: Usd
    made_by: str
    made_at: datetime

    @classmethod
    def of(cls, scene: SceneRevision) -> Self:
        """Of the ledger's."""
        view, light = scene.view, scene.view.light
        return cls(
            name=scene.name,
            revision=scene.revision,
            state=scene.state,
            digest=scene.picture.digest,
            width=view.width,
            height=view.height,
            numbers=SceneNumbers(
                ground=view.ground,
                stand=view.stand,
                safe=view.safe,
                pitch_degrees=view.pitch_degrees,
                pixels_per_cm=view.pixels_per_cm,
                azimuth=light.azimuth_degrees,
                elevation=light.elevation_degrees,
                softness=light.softness,
                contact=light.contact,
                ambient=light.ambient,
                cast=light.cast,
                reflection=light.reflection,
                plain=light.plain,
            ),
            confidence=dict(scene.picture.confidence),
            provider=scene.picture.provider,
            cost_usd=scene.picture.cost,
            made_by=scene.made_by,
            made_at=scene.made_at,
        )


@router.get("")
def list_scenes(state: State) -> list[SceneView]:
    """List all scenes, the newest revision of each."""
    return [SceneView.of(scene) for scene in state.ledger.scenes.newest()]


@router.get("/{name}", responses=documented(404))
def scene_history(state: State, name: Name) -> list[SceneView]:
    """All revisions of a scene, newest first."""
    return [SceneView.of(scene) for scene in state.ledger.scenes.history(name)]


@router.post("", status_code=201)
def add(
    state: State,
    caller: Editor,
    file: Annotated[UploadFile, File(description="JPEG, PNG or WebP, without a product.")],
    name: Annotated[Name, Form()],
) -> SceneView:
    """Add a picture as a draft. Ground line and light are estimated from it; the same picture
    again adds nothing."""
    data = read_upload(file, state.settings.image_max_bytes)
    return SceneView.of(add_scene(state.ledger, state.store, name, data, by=caller.name))


@router.patch("/{name}", responses=documented(404, 409))
def change(state: State, caller: Editor, name: Name, told: SceneChange) -> SceneView:
    """Say what the estimates got wrong: a new draft of the same picture. 409 where somebody else
    has changed it since `revision`."""
    said = told.model_dump(exclude={"revision"}, exclude_none=True)
    return SceneView.of(change_scene(state.ledger, name, told.revision, said, by=caller.name))


@router.post("/{name}/{revision}/approve", responses=documented(404))
def approve(
    state: State, caller: Editor, name: Name, revision: Annotated[int, Field(ge=1, le=1_000_000)]
) -> SceneView:
    """Let photos stand in it from now on. Pictures that are made stay as they are."""
    scenes = state.ledger.scenes
    found = scenes.decide(name, SceneState.APPROVED, by=caller.name, revision=revision)
    return SceneView.of(found)


@router.post("/{name}/archive", responses=documented(404))
def archive(state: State, caller: Editor, name: Name) -> SceneView:
    """Let no new photo stand in it. Its pictures are kept."""
    return SceneView.of(state.ledger.scenes.decide(name, SceneState.ARCHIVED, by=caller.name))
