"""What pictures are bought under: the recipe of each, and the key of its purchase."""

from __future__ import annotations

import hashlib

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.recipe import recipe
from photopipe_dagster.imaging.placement import TWENTY_MEGAPIXELS, Canvas, SizeLimit
from photopipe_dagster.ledger.scenes import SceneRevision
from photopipe_dagster.providers.base import (
    BackgroundProvider,
    BackgroundRequest,
    CutoutProvider,
)
from photopipe_dagster.themes.model import Theme


def mask_purchase(key: PhotoKey, provider: CutoutProvider, digest: str) -> tuple[str, str]:
    """The recipe of a photo's cut-out, and the key under which it is bought.

    Args:
        digest: SHA-256 of the original, as hex.
    """
    recipe_id = recipe(
        Stage.MASK,
        {"provider": provider.name, **provider.cutout_parameters()},
        {"original": digest},
    )
    return recipe_id, f"{key.object_key(Stage.MASK)}#{recipe_id}"


def background_request(
    theme: Theme,
    key: PhotoKey,
    size: tuple[int, int],
    variant: int = 1,
    *,
    limit: SizeLimit = TWENTY_MEGAPIXELS,
    scene: SceneRevision | None = None,
) -> BackgroundRequest:
    """What is asked of a provider for a photo whose cut-out has that width and height in pixels.

    Args:
        limit: The largest picture that may be published.
        scene: That it is a part of. A canvas of pixels stays as it is; any other is as large as
            the scene allows.
    """
    canvas = Canvas.parse(theme.canvas)
    asked = limit.fit(*size) if canvas is None else canvas.size(size, limit)
    if scene is None:
        return BackgroundRequest(theme, *asked, seed(key, variant))
    if canvas is None or not canvas.fixed:
        asked = scene.view.fitted(*asked)
    return BackgroundRequest(theme, *asked, 0, scene)


def background_purchase(
    key: PhotoKey, provider: BackgroundProvider, request: BackgroundRequest, variant: int = 1
) -> tuple[str, str]:
    """The recipe of a photo's background, and the key under which it is bought."""
    recipe_id = background_recipe(provider, request)
    return recipe_id, f"{key.object_key(Stage.BACKGROUND, variant)}#{recipe_id}"


def background_recipe(provider: BackgroundProvider, request: BackgroundRequest) -> str:
    """Digest of all that decides how a background looks."""
    parameters = {
        "provider": provider.name,
        "width": request.width,
        "height": request.height,
        "seed": request.seed,
        **provider.background_parameters(request),
    }
    return recipe(Stage.BACKGROUND, parameters, {})


def seed(key: PhotoKey, variant: int = 1) -> int:
    """A number that is the same for this variant of this photo everywhere: 0 to 2³¹ − 1."""
    name = f"{key.sha256}/{key.theme}{f'/{variant}' if variant > 1 else ''}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:4]) >> 1
