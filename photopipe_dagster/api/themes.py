"""The themes that a photo can have."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from photopipe_dagster.api.errors import GUARDED
from photopipe_dagster.api.examples import EXAMPLES
from photopipe_dagster.api.jobs import CamelModel
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.publishing.approval import approval_required

router = APIRouter(
    prefix="/api/themes",
    tags=["themes"],
    dependencies=[Depends(require(Scope.READ))],
    responses=GUARDED,
)


class ThemeView(CamelModel):
    """A theme. `provider` makes its backgrounds; a person approves its pictures first if
    `approvalRequired`."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLES["ThemeView"]})

    name: str
    prompt: str
    scene: str
    provider: str
    is_default: bool
    approval_required: bool


@router.get("")
def list_themes(state: State) -> list[ThemeView]:
    """List the themes that are offered."""
    themes = state.themes
    found = [themes.get(name) for name in themes.offered]
    return [
        ThemeView(
            name=theme.name,
            prompt=theme.prompt,
            scene=theme.alt,
            provider=theme.background or state.settings.backgrounds,
            is_default=theme.name == themes.default,
            approval_required=approval_required(theme, state.settings),
        )
        for theme in found
    ]
