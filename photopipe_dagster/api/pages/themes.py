"""The themes: what each asks for, how it is lit, and how it looks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final, cast

import numpy as np
from fastapi import APIRouter, Depends, Query, Response
from PIL import Image

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.pages.rendering import PageRoute, Visitor
from photopipe_dagster.api.security import Scope, require
from photopipe_dagster.api.state import State
from photopipe_dagster.api.thumbnails import WIDTHS, next_width
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import CutoutPicture, compose, encode_jpeg
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.pipeline.stages.composite import scene_of
from photopipe_dagster.providers.base import (
    BackgroundProvider,
    BackgroundRequest,
    ProviderContext,
    Unpaid,
)
from photopipe_dagster.providers.local.scenes import SCENE_VERSION, SCENES, render
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.publishing.approval import approval_required
from photopipe_dagster.themes.model import Theme

_SAMPLE_PRODUCT: Final = Path(__file__).with_name("sample_product.webp")
"""A plain glazed vase, cut out: what themes are shown with before there is a photo."""

_QUALITY: Final = 95
_SEED: Final = 7
_SHOWN: Final = 4

router = APIRouter(route_class=PageRoute, dependencies=[Depends(require(Scope.READ))])


@router.get("/themes")
def themes(visit: Visitor) -> Response:
    """All themes of the settings."""
    state = visit.state
    offered = state.themes
    names = offered.offered
    return visit.page(
        "themes.html",
        themes=[offered.get(name) for name in names],
        has_sample=has_sample,
        newest={
            name: state.ledger.jobs.find(JobQuery((JobStatus.DONE,), theme=name), limit=_SHOWN)
            for name in names
        },
        approval={name for name in names if approval_required(offered.get(name), state.settings)},
        default=offered.default,
        provider=state.settings.backgrounds,
    )


@router.get("/themes/{name}/sample.jpg")
def sample(
    name: str, state: State, width: Annotated[int, Query(ge=1, le=4096)] = WIDTHS[2]
) -> Response:
    """A vase in the theme's scene, as this machine renders it; made once."""
    theme = next((each for each in state.themes if each.name == name), None)
    if theme is None or not has_sample(theme):
        raise ApiError(404, "not_found", "There is no sample of such a theme.")
    version = f"sample/{SCENE_VERSION}/{theme}"
    jpeg = state.thumbnails.get(version, next_width(width), lambda: _sample(theme, state.settings))
    return Response(
        jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
    )


def _sample(theme: Theme, settings: Settings) -> bytes:
    with Image.open(_SAMPLE_PRODUCT) as image:
        product = np.asarray(image.convert("RGBA"))
    height, width, _ = product.shape
    if theme.background is None:
        ground = encode_jpeg(
            render(theme.drawn_as, width, height, _SEED, theme.looks), quality=_QUALITY
        )
    else:
        opened = PROVIDERS.get(theme.background).open(ProviderContext(settings))
        maker = cast("BackgroundProvider", opened)
        request = BackgroundRequest(theme, width, height, _SEED)
        ground = asyncio.run(maker.generate_background(request, Unpaid())).data
    made = compose(CutoutPicture.from_rgba(product), ground, scene_of(theme))
    return made.jpeg


def has_sample(theme: Theme) -> bool:
    """Whether a theme can be shown without buying anything."""
    if theme.background is None:
        return theme.drawn_as in SCENES
    return not PROVIDERS.get(theme.background).capabilities.remote
