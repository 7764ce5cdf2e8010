"""Product photographs for the demo: real ones, fetched when they are first needed.

They are in wheels that anybody may use:

- saleor 2.10.1 (BSD-3-Clause, © Mirumee Software): the pictures of its example shop, 1024 × 1024.
- scikit-image 0.26.0: ``coffee.png``, a photograph by Rachel Michetti, released under CC0.

Most of saleor's pictures have a transparent ground and the product's soft shadow. They are laid
on a studio's grey paper and saved as a camera would, so that the pipeline gets what a photographer
would send: a JPEG without transparency.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from photopipe_dagster.net.wheel_files import Download, Wheel, fetch, pip_download

_SALEOR: Final = "saleor/static/placeholders/saleordemoproduct_"

SALEOR: Final = Wheel(
    "saleor",
    "2.10.1",
    {
        f"{_SALEOR}beer-01_1.png": (
            "9a7a65906074b791b1caa8f312968b99aef4c2fa708b15e5d6834ee1696deee4"
        ),
        f"{_SALEOR}cl_boot03_1.png": (
            "5e7c594b5bfc4ed15de3fb26748031ea61d8282e3e3966580df55cb0db93d58a"
        ),
        f"{_SALEOR}cuschion01.png": (
            "1fd41a58b46e6692548f178bd13811117b4ddc5ffab04d30fd0e2f64680783a8"
        ),
        f"{_SALEOR}fd_juice_03.png": (
            "1cf0ba0ecce9e31b1d7fb58ca1ec54d5575d5f4fd253cc300611e99a8b2b287c"
        ),
        f"{_SALEOR}paints_03.png": (
            "0459ad46d22d61c8cac934650ce9cffde513c8a985634b44a43d29cf81f8ad45"
        ),
        f"{_SALEOR}sneakers_02_3.png": (
            "df1264e4cb23189ca0f6a8da11b97f7e33239e25d3de2d92bf8ae015644083e7"
        ),
        f"{_SALEOR}beer-02_1.png": (
            "96fc497769899f375a8148a791313b6f7de8a270c2f8e364a753ed54c7a312a5"
        ),
    },
)

SCIKIT_IMAGE: Final = Wheel(
    "scikit-image",
    "0.26.0",
    {
        "skimage/data/coffee.png": (
            "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"
        )
    },
)


@dataclass(frozen=True, slots=True)
class Category:
    """A category of Shopify's standard taxonomy, by gid and full name."""

    id: str
    full_name: str


_T_SHIRTS: Final = Category(
    "gid://shopify/TaxonomyCategory/aa-1-13-8",
    "Apparel & Accessories > Clothing > Clothing Tops > T-Shirts",
)
"""What lies in its photo although its outline would stand: the shop knows."""


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


SUBJECTS: Final = (
    Subject("SNK-0042", "Canvas slip-ons, white", "minimal", f"{_SALEOR}sneakers_02_3.png"),
    Subject("LAGER#02/33cl", "Sea Monster lager", "outdoors", f"{_SALEOR}beer-02_1.png"),
    Subject("ALE#01/33cl", "Sea Monster strong ale", "luxury", f"{_SALEOR}beer-01_1.png"),
    Subject("CUSH-PARROT", "Cushion with parrot", "luxury", f"{_SALEOR}cuschion01.png"),
    Subject("JUICE power 250", "Power juice", "kitchen", f"{_SALEOR}fd_juice_03.png"),
    Subject("CUP-ESP-RED", "Espresso cup and saucer", "minimal", "skimage/data/coffee.png"),
    Subject("PAINT/RED/5L", "Wall paint, dwarf red", "kitchen", f"{_SALEOR}paints_03.png"),
    Subject("TEE-VAN-M", "T-shirt with van", "minimal", f"{_SALEOR}cl_boot03_1.png", _T_SHIRTS),
)


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
    pictures = fetch(SALEOR, cache, download) | fetch(SCIKIT_IMAGE, cache, download)
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
