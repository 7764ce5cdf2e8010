"""How products would look in a theme: stored cut-outs, set into it by the code of the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Final, cast

import numpy as np
from PIL import Image

from photopipe_dagster.api.state import ApiState
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import CutoutPicture, Scene, compose
from photopipe_dagster.imaging.placement import Canvas
from photopipe_dagster.imaging.png import decode_cutout
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.scenes import SceneRevision
from photopipe_dagster.pipeline.purchase_keys import background_request
from photopipe_dagster.pipeline.stages.composite import scaled, scene_of
from photopipe_dagster.providers.base import (
    BackgroundProvider,
    BackgroundRequest,
    ProviderContext,
    Unpaid,
)
from photopipe_dagster.providers.local.scenes import SCENE_VERSION
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.publishing.flat_lay import flat_lay_of
from photopipe_dagster.runtime.providers import background_plugin
from photopipe_dagster.runtime.scenes import chosen_scene, cropped, in_scene, scene_picture
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import CutoutFacts, find_picture
from photopipe_dagster.targets.registry import picture_limits
from photopipe_dagster.themes.model import Theme

SIDE: Final = 640
"""Pixels of a preview's longer side."""


def preview(state: ApiState, theme: Theme, job: Job) -> bytes | None:
    """A photo's product in a theme, as a JPEG of `SIDE` pixels. Buys nothing.

    Args:
        theme: It may be one that nobody has saved.
        job: Of the photo, in this theme or in another one.

    Returns:
        ``None`` where the photo has no cut-out, or no background that is free.

    Raises:
        CompositeError: The cut-out and the background do not go together.
        ProviderError: A scene that the theme names is not there, or not approved.
    """
    cutout = find_picture(state.store, job.key.object_key(Stage.MASK), CutoutFacts)
    if cutout is None:
        return None
    scene = chosen_scene(state.ledger.scenes, theme, job.key.sku)
    limit = picture_limits(state.settings).size
    request = background_request(
        theme, job.key, cutout.facts.size, job.variant, limit=limit, scene=scene
    )
    size = request.width, request.height
    factor = min(1.0, SIDE / max(size))
    small = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    ground = _ground(state, replace(request, width=small[0], height=small[1]), job)
    product = _cutout(cast("Hashable", state.store), str(cutout.key), cutout.digest, factor)
    if ground is None or product is None:
        return None
    return compose(product, ground, _set(state, theme, job, scene, small, factor)).jpeg


def _set(
    state: ApiState,
    theme: Theme,
    job: Job,
    scene: SceneRevision | None,
    size: tuple[int, int],
    factor: float,
) -> Scene:
    """How the theme sets a product, with all that is in pixels made smaller."""
    known = state.ledger.catalogue.product(job.key.sku)
    lies = flat_lay_of(state.settings, job.key.sku, known) is not None
    stand = None
    if scene is not None:
        sized = state.ledger.product_sizes.get(job.key.sku)
        stand, _ = scaled(theme, scene.view, size, sized)
    whole = scene_of(in_scene(theme, scene), lies=lies, stand=stand)
    least = max(1, round(theme.placement.min_side * factor))
    canvas = None if whole.canvas is None else Canvas(*size, fixed=True)
    return replace(whole, canvas=canvas, placement=replace(whole.placement, min_side=least))


def _ground(state: ApiState, request: BackgroundRequest, job: Job) -> bytes | None:
    """The background, as small; kept, since a change sets the product again, not this."""
    theme, size = request.theme, (request.width, request.height)
    read: Callable[[], bytes | None]
    if (scene := request.scene) is not None:
        name = f"{scene.label} {scene.picture.digest} {size}"
        read = partial(_cropped, state.store, scene, size)
    elif is_free(state.settings, theme):
        provider = background_plugin(state.settings, theme).name
        look = f"{provider} {theme.drawn_as} {theme.looks} {SCENE_VERSION}"
        name = f"{look} {request.seed} {size}"
        read = partial(drawn, state.settings, provider, request)
    elif job.key.theme == theme.name:
        key = job.key.object_key(Stage.BACKGROUND, job.variant)
        name = f"{key} {job.updated_at.isoformat()}"
        read = partial(_stored, state.store, key)
    else:
        return None
    return state.thumbnails.get(f"ground/{name}", SIDE, read)


def is_free(settings: Settings, theme: Theme) -> bool:
    """Whether pictures of a theme can be shown without buying a background for each."""
    return bool(theme.scenes) or not background_plugin(settings, theme).capabilities.remote


def drawn(settings: Settings, provider: str, request: BackgroundRequest) -> bytes:
    """A background of a provider that takes nothing."""
    opened = PROVIDERS.get(provider).open(ProviderContext(settings))
    maker = cast("BackgroundProvider", opened)
    return asyncio.run(maker.generate_background(request, Unpaid())).data


def _cropped(store: ObjectStore, scene: SceneRevision, size: tuple[int, int]) -> bytes:
    return cropped(scene_picture(store, scene), scene, size)


def _stored(store: ObjectStore, key: str) -> bytes | None:
    found = store.get(key)
    return None if found is None else found.data


@lru_cache(maxsize=32)
def _cutout(store: Any, key: str, digest: str, factor: float) -> CutoutPicture | None:
    stored = store.get(key)
    if stored is None:
        return None
    rgba = decode_cutout(stored.data)
    height, width = rgba.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    # Pillow weighs colours by alpha, so that what is clear lends the edge none.
    small = Image.fromarray(rgba).resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return CutoutPicture.from_rgba(np.asarray(small))
