"""Backgrounds that are parts of a scene: which scene a product stands in, and its crop."""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from photopipe_dagster.core.errors import Billed, ErrorCode, PhotopipeError, ProviderError
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.imaging.scene_view import MAX_PIXELS
from photopipe_dagster.providers.base import Background, BackgroundRequest, Purchase
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.themes.model import SceneChoice, Theme

if TYPE_CHECKING:  # a provider that buys brings no database along
    from photopipe_dagster.ledger.scenes import SceneRevision, Scenes

SCENE: Final = "scene"
"""In the place of a provider's name: the background is a part of a scene."""

OF_SCENES: Final = "scene"
"""In the place of a theme's name, in the ledger's spending: what was paid for scenes."""

_VERSION: Final = "scene/1"
_QUALITY: Final = 97
_KEPT: Final = 16
"""Crops that a process keeps: those of a collection are the same for all its products."""


def chosen_scene(
    scenes: Scenes, theme: Theme, sku: str, *, shape: float | None = None
) -> SceneRevision | None:
    """The scene that a product stands in; ``None`` where the theme names none.

    Args:
        shape: The product's width by its height, where it is known.

    Raises:
        ProviderError: A scene that the theme names is not there, or not approved.
    """
    if not theme.scenes:
        return None
    if theme.scene_choice is SceneChoice.FIXED:
        return _approved(scenes, theme, theme.scenes[0])
    if theme.scene_choice is SceneChoice.SKU:
        return _approved(scenes, theme, max(theme.scenes, key=lambda name: _rank(sku, name)))
    found = [_approved(scenes, theme, name) for name in theme.scenes]
    if shape is None:
        return found[0]
    return min(found, key=lambda scene: abs(math.log(scene.view.shape / shape)))


def _rank(sku: str, name: str) -> bytes:
    # The highest wins, so that a scene that comes or goes moves no product between the others.
    return hashlib.sha256(f"{name}\n{sku}".encode()).digest()


def _approved(scenes: Scenes, theme: Theme, name: str) -> SceneRevision:
    found = scenes.approved(name)
    if found is None:
        raise ProviderError(
            f"The theme {theme.name} names the scene {name}, of which no revision is approved. "
            f"Approve one (`photopipe scene approve {name}`, or the page /scenes), and retry.",
            code=ErrorCode.BACKGROUND_ERROR,
        )
    return found


def in_scene(theme: Theme, scene: SceneRevision | None) -> Theme:
    """A theme with the light of a scene."""
    return theme if scene is None else replace(theme, light=scene.view.light)


class SceneBackgrounds:
    """Makes backgrounds from scenes, for nothing.

    Args:
        store: Opens the object store, when it is first needed.
    """

    name = SCENE

    def __init__(self, store: Callable[[], ObjectStore]) -> None:
        self._store = cache(store)
        self._crops: LRUCache[tuple[str, int, int], bytes] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The scene's revision and digest."""
        scene = _scene_of(request)
        return {"model": _VERSION, "scene": scene.label, "digest": scene.picture.digest}

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """Nothing, USD: the scene is paid once, for all that stand in it."""
        return Decimal(0)

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Cut a part out of the scene: the same bytes for the same scene and size.

        Raises:
            ProviderError: The scene is smaller than the canvas, or its picture is lost.
        """
        scene = _scene_of(request)
        size = request.width, request.height
        if scene.view.fitted(*size) != size:
            raise ProviderError(
                f"The scene {scene.label} is smaller than the canvas of the theme "
                f"{request.theme.name}: {scene.view.width}×{scene.view.height} pixels have no part "
                f"of {size[0]}×{size[1]}. Add a larger picture as its next revision, or choose a "
                "smaller canvas.",
                code=ErrorCode.BACKGROUND_ERROR,
            )
        data = await asyncio.to_thread(self._crop, scene, size)
        return Background(
            data, "image/jpeg", scene.picture.model or _VERSION, {"scene": scene.label}
        )

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _crop(self, scene: SceneRevision, size: tuple[int, int]) -> bytes:
        key = (scene.label, *size)
        with self._lock:  # the others of a collection wait for the one that decodes
            if key not in self._crops:
                self._crops[key] = cropped(scene_picture(self._store(), scene), scene, size)
            return self._crops[key]


def _scene_of(request: BackgroundRequest) -> SceneRevision:
    if request.scene is None:
        raise PhotopipeError(f"No scene was chosen for the theme {request.theme.name}.")
    return request.scene


def scene_picture(store: ObjectStore, scene: SceneRevision) -> bytes:
    """The bytes of a scene's picture, proven to be those that were stored.

    Raises:
        ProviderError: They are lost, or damaged.
    """
    stored = store.get(scene.object_key)
    if stored is None or digest(stored.data) != scene.picture.digest:
        fate = "has left" if stored is None else "is damaged in"
        raise ProviderError(
            f"The picture of the scene {scene.label} {fate} the object store ({scene.object_key}). "
            "Add it again, or have the theme name another scene.",
            billed=Billed.NO,
            code=ErrorCode.BACKGROUND_ERROR,
        )
    return stored.data


def cropped(picture: bytes, scene: SceneRevision, size: tuple[int, int]) -> bytes:
    """The part of a scene's picture for a canvas, as a JPEG of that size.

    Raises:
        PhotoRejectedError: The picture cannot be read.
    """
    import cv2
    import numpy as np

    from photopipe_dagster.imaging.composite import encode_jpeg
    from photopipe_dagster.imaging.decode import decode_rgb

    left, top, right, bottom = scene.view.crop(*size)
    rgb = decode_rgb(picture, max_pixels=MAX_PIXELS)[top:bottom, left:right]
    if rgb.shape[1::-1] != size:
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    return encode_jpeg(np.ascontiguousarray(rgb), quality=_QUALITY, full_colour=True)
