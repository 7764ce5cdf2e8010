"""The simulators as a process, with pictures that look like the real ones."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache
from itertools import count

from PIL import Image

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.imaging.png import encode_cutout
from photopipe_dagster.providers.base import CutoutProvider, Original, Unpaid
from photopipe_dagster.sandbox.config import CutOut, Paint, SandboxConfig
from photopipe_dagster.sandbox.pictures import gradient
from photopipe_dagster.sandbox.server import serve
from photopipe_dagster.themes.builtin import THEMES


def serve_sandbox(
    settings: Settings,
    port: int,
    webhook_secret: str = "",
    *,
    real_pictures: bool = False,
    keep: bool = False,
) -> None:
    """Run the simulators on a loopback port until they are interrupted.

    Args:
        webhook_secret: Signs the webhooks of 3JMS; made up where empty.
        real_pictures: Cut out with the local model and paint the local scenes, so that pictures
            look as the real ones would; otherwise they are quick and plain.
        keep: Keep the shop in DATA_DIR, for the next start.
    """
    config = sandbox_config(settings, webhook_secret, real_pictures=real_pictures)
    if keep:
        config = replace(config, shop_folder=settings.data_dir / "sandbox" / "shop")
    serve(config, port=port)


def sandbox_config(
    settings: Settings, webhook_secret: str = "", *, real_pictures: bool = False
) -> SandboxConfig:
    """What a sandbox is told at its start. No model is loaded before the first cut-out."""
    config = SandboxConfig()
    return SandboxConfig(
        webhook_secret=webhook_secret or config.webhook_secret,
        cut_out=model_cut_out(settings) if real_pictures else config.cut_out,
        paint=scene_paint() if real_pictures else config.paint,
        mystic_scale=1.0 if real_pictures else config.mystic_scale,
    )


def model_cut_out(settings: Settings) -> CutOut:
    """Cuts out with the local model."""

    @cache
    def provider() -> CutoutProvider:
        # Loads an inference engine: only anyone who cuts out waits for that.
        from photopipe_dagster.providers.local.provider import LocalProvider

        return LocalProvider(settings)

    def cut_out(data: bytes) -> bytes:
        info = inspect(data)
        original = Original(
            data=data,
            content_type=info.content_type,
            width=info.width,
            height=info.height,
            signed_url=lambda: "",
        )
        picture = asyncio.run(provider().remove_background(original, Unpaid())).picture
        return picture if isinstance(picture, bytes) else encode_cutout(picture)

    return cut_out


def scene_paint() -> Paint:
    """Paints the local scene of the theme whose prompt is asked for, another one each time."""
    themes = {theme.prompt: name for name, theme in THEMES.items()}
    seeds = count(1)

    def paint(prompt: str, width: int, height: int) -> Image.Image:
        name = themes.get(prompt)
        if name is None:
            return gradient(prompt, width, height)
        from photopipe_dagster.providers.local.scenes import render

        return Image.fromarray(render(name, width, height, next(seeds)))

    return paint
