"""Photos whose true alpha is known: cut-outs of products laid on grounds of real photos.

    python -m training.composites OUT --cutouts DIR --grounds DIR [DIR ...] --half tune

Cut-outs are PNG files with alpha; a soft shadow in their alpha is taken off. Grounds are any
photos: of each the largest rectangle is taken in which the small cut-out network sees nothing.
Products and grounds are split into two halves by name (`shoe-1` and `shoe-2` go together), so that
what is tuned on one half is measured on products and grounds of the other.

Written are OUT/NAME.jpg, OUT/truth/NAME.png (8-bit alpha), as `benchmarks.cutout` reads them, and
OUT/composites.csv with what each picture is made of. The same arguments give the same pictures.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.segmentation.cutout import CutoutModel
from photopipe_dagster.imaging.segmentation.model import ensure_model

CHECKOUT = Path(__file__).resolve().parent.parent
SIDES = (900, 1500)
"""Shortest and longest side of a composite, pixels."""

SOLID = 247
"""Alpha of 255 from which a source's pixel belongs to the product, whatever its shadow."""

LEAST_FREE = 0.3
"""A photo's empty rectangle must be this share of each of its sides to serve as a ground."""

Rgba = NDArray[np.uint8]
Rgb = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """A composite, and what it is made of."""

    name: str
    product: str
    ground: str
    clutter: str
    shadow: float
    contrast: str
    blur: float
    noise: float
    jpeg: int


def half_of(name: str) -> str:
    """``tune`` or ``held``: the same for all pictures of one product, or of one place."""
    family = re.sub(r"(?:[-_ ]?(?:front|back|\d+))+$", "", name)
    return "tune" if hashlib.sha256(family.encode()).digest()[0] % 2 else "held"


def read_cutout(path: Path, side: int = 1200) -> Rgba | None:
    """A product without its soft shadow, cropped; ``None`` where the file has no alpha.

    Args:
        side: The file is shrunk until its longer side is so many pixels.
    """
    rgba = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if rgba is None or rgba.ndim != 3 or rgba.shape[2] != 4:
        return None
    shrink = min(1.0, side / max(rgba.shape[:2]))
    rgba = cv2.cvtColor(rgba, cv2.COLOR_BGRA2RGBA)
    rgba = _scaled(rgba, shrink)
    solid = cv2.morphologyEx(
        (rgba[..., 3] >= SOLID).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    solid = (areas >= max(1, 0.01 * areas.max()))[labels].astype(np.uint8)
    near = cv2.dilate(solid, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    rgba[..., 3] *= near
    rgba[..., 3][rgba[..., 3] < 26] = 0
    if not rgba[..., 3].any() or (rgba[..., 3] > 0).all():
        return None
    left, top, width, height = cv2.boundingRect((rgba[..., 3] > 0).astype(np.uint8))
    return np.ascontiguousarray(rgba[top : top + height, left : left + width])


def empty_part(model: CutoutModel, rgb: Rgb) -> Rgb | None:
    """The largest rectangle of a photo that holds nothing that stands out, if it is large."""
    seen = model.saliency(rgb)
    taken = cv2.dilate((seen.map * seen.raw_maximum > 0.05).astype(np.uint8), np.ones((13, 13)))
    cells = 40
    free = cv2.resize(taken, (cells, cells), interpolation=cv2.INTER_AREA) == 0
    best, box = 0, (0, 0, 0, 0)
    for top in range(cells):
        open_columns = np.ones(cells, np.bool_)
        for bottom in range(top, cells):
            open_columns &= free[bottom]
            edges = np.flatnonzero(np.diff(np.r_[0, open_columns.astype(np.int8), 0]))
            for left, right in zip(edges[::2], edges[1::2], strict=True):
                shortest = min(bottom + 1 - top, int(right - left))
                if shortest > best:
                    best, box = shortest, (top, bottom + 1, int(left), int(right))
    if best < LEAST_FREE * cells:
        return None
    height, width = rgb.shape[:2]
    rows = slice(box[0] * height // cells, box[1] * height // cells)
    columns = slice(box[2] * width // cells, box[3] * width // cells)
    return np.ascontiguousarray(rgb[rows, columns])


def laid(
    rgba: Rgba, shape: tuple[int, int], middle: tuple[float, float], extent: float, degrees: float
) -> tuple[Floats, Floats]:
    """A cut-out scaled, turned and moved into a frame: colour (0..255) and alpha (0..1)."""
    height, width = shape
    scale = extent * min(height / rgba.shape[0], width / rgba.shape[1])
    # Warping alone would alias where it shrinks much.
    small = _scaled(rgba, min(1.0, scale)).astype(np.float32)
    small[..., :3] *= small[..., 3:] / 255
    rest = scale / min(1.0, scale)
    matrix = cv2.getRotationMatrix2D((small.shape[1] / 2, small.shape[0] / 2), degrees, rest)
    matrix[:, 2] += (
        middle[0] * width - small.shape[1] / 2,
        middle[1] * height - small.shape[0] / 2,
    )
    warped = cv2.warpAffine(small, matrix, (width, height), flags=cv2.INTER_LINEAR)
    alpha = np.clip(warped[..., 3] / 255, 0, 1)
    colour = warped[..., :3] / np.maximum(alpha, 1e-3)[..., None]
    return np.clip(colour, 0, 255), alpha


def shadow_of(alpha: Floats, chance: np.random.Generator) -> Floats:
    """A cast shadow, 0 to 1: the outline sheared and flattened, or only moved, and blurred."""
    height, width = alpha.shape
    rows = np.flatnonzero(alpha.max(axis=1) > 0.5)
    base = float(rows[-1])
    if chance.random() < 0.5:  # it stands
        shear, flat = chance.uniform(-1.2, 1.2), chance.uniform(0.1, 0.5)
        matrix = np.array([[1, -shear * flat, shear * flat * base], [0, flat, base * (1 - flat)]])
    else:  # it lies
        reach = 0.03 * max(height, width)
        matrix = np.array([[1, 0, chance.uniform(-reach, reach)], [0, 1, chance.uniform(0, reach)]])
    cast = cv2.warpAffine(alpha, matrix.astype(np.float32), (width, height))
    return np.asarray(
        cv2.GaussianBlur(cast, (0, 0), float(chance.choice([3, 8, 20, 40]))), np.float32
    )


def ground_for(part: Rgb, shape: tuple[int, int], chance: np.random.Generator) -> Floats:
    """A ground of that size out of a photo's empty part."""
    height, width = shape
    if chance.random() < 0.5:
        part = part[:, ::-1]
    scale = min(part.shape[0] / height, part.shape[1] / width) * chance.uniform(0.7, 1.0)
    rows, columns = max(1, int(height * scale)), max(1, int(width * scale))
    top = int(chance.integers(0, part.shape[0] - rows + 1))
    left = int(chance.integers(0, part.shape[1] - columns + 1))
    crop = np.ascontiguousarray(part[top : top + rows, left : left + columns])
    way = cv2.INTER_CUBIC if scale < 1 else cv2.INTER_AREA
    return np.clip(cv2.resize(crop, (width, height), interpolation=way).astype(np.float32), 0, 255)


def alike(
    colour: Floats, alpha: Floats, shape: tuple[int, int], chance: np.random.Generator
) -> Floats:
    """A studio's ground of nearly the product's own colour."""
    mean = colour[alpha > 0.9].mean(axis=0)
    mean = np.clip(mean * chance.uniform(0.8, 1.2) + chance.normal(0, 10, 3), 8, 248)
    y = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
    light = 1 + chance.uniform(-0.15, 0.15) * (y - 0.5)
    coarse = chance.normal(0, 2, (24, 24, 1)).astype(np.float32)
    grain = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(mean.astype(np.float32) * light + grain, 0, 255).astype(np.float32)


def compose(
    number: int,
    seed: int,
    cutouts: dict[str, Rgba],
    grounds: dict[str, Rgb],
) -> tuple[Recipe, bytes, Floats]:
    """One composite: what it is made of, its JPEG file, its true alpha."""
    chance = np.random.default_rng((seed, number))
    product = str(chance.choice(sorted(cutouts)))
    ground = str(chance.choice(sorted(grounds)))
    shape = (int(chance.integers(*SIDES)), int(chance.integers(*SIDES)))
    middle = (chance.uniform(0.42, 0.58), chance.uniform(0.42, 0.58))
    colour, alpha = laid(
        cutouts[product], shape, middle, chance.uniform(0.35, 0.8), chance.normal(0, 6)
    )
    low_contrast = chance.random() < 0.15
    picture = (
        alike(colour, alpha, shape, chance)
        if low_contrast
        else ground_for(grounds[ground], shape, chance)
    )
    clutter = ""
    if chance.random() < 0.2:
        # Partly behind the product, cut by the frame, out of focus: no second product.
        clutter = str(chance.choice([name for name in sorted(cutouts) if name != product]))
        side = chance.choice([0.0, 1.0]) + chance.normal(0, 0.05)
        other, cover = laid(
            cutouts[clutter],
            shape,
            (side, chance.uniform(0.2, 0.6)),
            chance.uniform(0.3, 0.5),
            chance.normal(0, 20),
        )
        soft = float(chance.uniform(2, 6))
        share = cv2.GaussianBlur(cover, (0, 0), soft)[..., None]
        over = cv2.GaussianBlur(other * cover[..., None], (0, 0), soft)
        picture = picture * (1 - share) + over * chance.uniform(0.6, 1.0)
    shadow = float(chance.uniform(0.15, 0.65)) if chance.random() < 0.8 else 0.0
    if shadow:
        picture = picture * (1 - shadow * shadow_of(alpha, chance)[..., None])
    light = picture.mean() / 128
    colour = colour * np.clip(0.75 + 0.25 * light * chance.uniform(0.8, 1.2), 0.5, 1.15)
    # The lens blurs the edge as it blurs all else: the true alpha is blurred with it.
    blur = float(chance.choice([0.0, 0.0, 0.7, 1.2]))
    mixed = colour * alpha[..., None] + picture * (1 - alpha[..., None])
    if blur:
        mixed, alpha = (cv2.GaussianBlur(each, (0, 0), blur) for each in (mixed, alpha))
    mixed = mixed * float(chance.uniform(0.7, 1.2)) * chance.normal(1, 0.03, 3)
    noise = float(chance.choice([0.0, 1.5, 4.0]))
    mixed = mixed + chance.normal(0, 1, mixed.shape) * noise
    quality = int(chance.choice([60, 80, 92]))
    bgr = np.clip(np.rint(mixed[..., ::-1]), 0, 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    recipe = Recipe(
        f"{number:04d}-{product}",
        product,
        "alike" if low_contrast else ground,
        clutter,
        round(shadow, 2),
        "low" if low_contrast else "",
        blur,
        noise,
        quality,
    )
    return recipe, jpeg.tobytes(), alpha


def _scaled(picture: Any, scale: float) -> Any:
    if scale >= 1:
        return picture
    height, width = picture.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Straight alpha: colours are weighted by it, or those of clear pixels would bleed in.
    weight = picture[..., 3:].astype(np.float32) / 255
    mixed = np.dstack((picture[..., :3] * weight, weight))
    small = cv2.resize(mixed, size, interpolation=cv2.INTER_AREA)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
    small[..., 3] *= 255
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def _files(folders: Iterable[Path], half: str, *suffixes: str) -> list[Path]:
    found = (path for folder in folders for path in sorted(folder.iterdir()))
    return [p for p in found if p.suffix.lower() in suffixes and half_of(p.stem) == half]


def main() -> int:
    """Write the composites of one half."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cutouts", type=Path, nargs="+", required=True)
    parser.add_argument("--grounds", type=Path, nargs="+", required=True)
    parser.add_argument("--half", choices=("tune", "held"), required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()

    model = CutoutModel(ensure_model(CHECKOUT / "build" / "models"))
    read = {path.stem: read_cutout(path) for path in _files(asked.cutouts, asked.half, ".png")}
    cutouts = {name: rgba for name, rgba in read.items() if rgba is not None}
    photos = _files(asked.grounds, asked.half, ".jpg", ".jpeg", ".png")
    parts = {path.stem: empty_part(model, decode_rgb(path.read_bytes())) for path in photos}
    grounds = {name: part for name, part in parts.items() if part is not None}
    if len(cutouts) < 2 or not grounds:
        parser.error("there are too few cut-outs with alpha, or no photo has an empty part")
    (asked.out / "truth").mkdir(parents=True, exist_ok=True)
    recipes = []
    for number in range(asked.count):
        recipe, jpeg, alpha = compose(number, asked.seed, cutouts, grounds)
        (asked.out / f"{recipe.name}.jpg").write_bytes(jpeg)
        truth = np.rint(alpha * 255).astype(np.uint8)
        cv2.imwrite(str(asked.out / "truth" / f"{recipe.name}.png"), truth)
        recipes.append(asdict(recipe))
    with (asked.out / "composites.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(recipes[0]))
        table.writeheader()
        table.writerows(recipes)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
