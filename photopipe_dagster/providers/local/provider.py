"""The embedded provider: cuts out and renders backgrounds on this machine, for nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TypeVar

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.composite import encode_jpeg
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.segmentation import cutout
from photopipe_dagster.imaging.segmentation.model import (
    LARGE_SHA256,
    SHA256,
    digest,
    ensure_large_model,
    ensure_model,
    large_model_file,
    model_name,
    places,
)
from photopipe_dagster.imaging.segmentation.shapes import ShapeName
from photopipe_dagster.providers.base import (
    Background,
    BackgroundRequest,
    Cutout,
    Original,
    Purchase,
)
from photopipe_dagster.providers.local.scenes import SCENE_VERSION, render

_Result = TypeVar("_Result")

_LOG = logging.getLogger(__name__)

_FREE = Decimal(0)

_JPEG_QUALITY = 92


class LocalProvider:
    """Cuts products out with U²-Nets and renders a scene for every theme.

    Works in threads of its own, one a processor at most, so that the event loop stays free. Nothing
    is bought: the purchases are left alone, and a photo that was interrupted is simply done again.

    Args:
        settings: Where the networks are, if not in the data folder, and how large a photo may be.
            Where the large network is not there, the small one cuts out, and is fetched to the data
            folder when first needed.
        workers: Photos worked on at once; as many as there are processors where not given.

    Raises:
        ConfigurationError: CUTOUT_MODEL_PATH is neither a file nor a folder.
    """

    name = "local"

    def __init__(self, settings: Settings, *, workers: int | None = None) -> None:
        folder, model_path = places(settings.cutout_model_path, settings.data_dir)
        if model_path is not None and not model_path.is_file():
            raise ConfigurationError(
                f"CUTOUT_MODEL_PATH is {model_path}, which is neither a file nor a folder; correct "
                "it, or leave it empty to have the models fetched."
            )
        self._models_dir = folder
        self._shape: ShapeName = "auto" if model_path is None else settings.cutout_model_shape
        self._model_path = model_path
        # Decided once, as the recipe is asked for before a photo is cut out.
        self._large = model_path is None and large_model_file(folder).is_file()
        if self._large:
            self._model_digest = LARGE_SHA256
        elif model_path is None:
            self._model_digest = SHA256
            _LOG.warning(
                "The large cut-out model is not in %s: the small one cuts out, which sees less. "
                "`photopipe doctor` fetches the large one.",
                folder,
            )
        else:
            self._model_digest = digest(model_path)
        self._max_pixels = settings.image_max_pixels
        self._loading = threading.Lock()
        self._networks: tuple[cutout.CutoutModel, cutout.CutoutModel | None] | None = None
        # Not asyncio's semaphore, which belongs to one event loop: a provider may serve several.
        self._threads = ThreadPoolExecutor(
            workers or os.cpu_count() or 1, thread_name_prefix="local-provider"
        )

    def cutout_parameters(self) -> Mapping[str, str]:
        """The network's digest and the version of what is done with it."""
        more = {"witness": SHA256} if self._large else {}
        if self._shape != "auto":
            more = {"shape": self._shape}
        return {"model": self._model_digest, "algorithm": cutout.VERSION, **more}

    def cutout_price(self) -> Decimal:
        """Nothing, USD."""
        return _FREE

    async def remove_background(self, original: Original, purchase: Purchase) -> Cutout:
        """Cut the product out.

        Raises:
            ProviderError: No product is to be seen in the photo; not retryable.
            PhotoRejectedError: The photo cannot be read.
            NetworkError: The network's file is not there and could not be fetched.
            ConfigurationError: The network's file is unusable.
        """
        return await self._in_thread(lambda: self._cut_out(original))

    def background_parameters(self, request: BackgroundRequest) -> Mapping[str, str]:
        """The scene, its version, size, seed, and looks where the theme names some."""
        looks = request.theme.looks
        return {
            "model": f"scenes/{SCENE_VERSION}",
            "theme": request.theme.drawn_as,
            "size": f"{request.width}x{request.height}",
            "seed": str(request.seed),
            "jpeg": f"q{_JPEG_QUALITY} 4:4:4",
            **({"looks": " ".join(looks)} if looks else {}),
        }

    def background_price(self, request: BackgroundRequest) -> Decimal:
        """Nothing, USD."""
        return _FREE

    async def generate_background(
        self, request: BackgroundRequest, purchase: Purchase
    ) -> Background:
        """Render the theme's scene in exactly the size asked for.

        Raises:
            PhotoRejectedError: The theme has no scene.
        """
        return await self._in_thread(lambda: _render(request))

    async def aclose(self) -> None:
        """End the threads; what they are doing is let finish, and nothing more can be asked."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _cut_out(self, original: Original) -> Cutout:
        started = time.monotonic()
        rgb = decode_rgb(original.data, max_pixels=self._max_pixels)
        model, witness = self._loaded()
        made = cutout.cut_out(model, rgb, witness)
        return Cutout(
            picture=made.rgba,
            model=model_name(self._model_digest),
            metadata={
                "algorithm": cutout.VERSION,
                "raw_maximum": round(made.raw_maximum, 4),
                "coverage": round(made.coverage, 4),
                "disagreement": round(made.disagreement, 4),
                "ground_share": round(made.ground_share, 4),
                "raw_iou": round(made.raw_iou, 4),
                "witness_iou": round(made.witness_iou, 4),
                "spread": round(made.doubts.spread, 4),
                "doubt_inside": round(made.doubts.inside, 4),
                "doubt_outside": round(made.doubts.outside, 4),
                "seconds": round(time.monotonic() - started, 3),
            },
        )

    def _loaded(self) -> tuple[cutout.CutoutModel, cutout.CutoutModel | None]:
        """The network that cuts out, and its witness if it has one."""
        with self._loading:
            if self._networks is None:
                small = self._model_path or ensure_model(self._models_dir)
                self._networks = cutout.CutoutModel(small, shape=self._shape), None
                if self._large:
                    large = ensure_large_model(self._models_dir)
                    self._networks = cutout.CutoutModel(large), self._networks[0]
            return self._networks


def _render(request: BackgroundRequest) -> Background:
    started = time.monotonic()
    theme = request.theme
    scene = render(theme.drawn_as, request.width, request.height, request.seed, theme.looks)
    return Background(
        data=encode_jpeg(scene, quality=_JPEG_QUALITY, full_colour=True),
        content_type="image/jpeg",
        model=f"scenes/{SCENE_VERSION}",
        metadata={"seed": request.seed, "seconds": round(time.monotonic() - started, 3)},
    )
