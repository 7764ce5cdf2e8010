"""Cut-outs whose faults are known: true ones of hard composites, damaged as networks damage them.

    python -m training.damage SAMPLES.jsonl --cutouts DIR [DIR ...] --grounds DIR --count 400

Each composite (products on real places, beside neighbours, with straps, behind grass, in hard
shadows, pale on pale, cut by the frame) is cut out six times: right, or with a part missing, ground
or shadow left in, openings filled, thin parts lost, torn, moved. No network is asked, so that
thousands cost minutes. A line of the table has what `imaging.evidence` measures, and how large the
largest fault and all faults are. The same arguments give the same table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.imaging.colour import lab
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.evidence import colour_kinds, measure_evidence
from photopipe_dagster.imaging.measures import View
from photopipe_dagster.imaging.segmentation.cutout import CutoutModel
from photopipe_dagster.imaging.segmentation.model import ensure_model
from training import trouble
from training.composites import (
    CHECKOUT,
    Rgba,
    alike,
    empty_part,
    ground_for,
    laid,
    read_cutout,
    shadow_of,
)

SIDES = (520, 600)
"""Shortest and longest length of a composite's longer side, pixels."""

EACH = 6
"""Cut-outs of each composite."""

FAULTS = (
    *("none",) * 4,
    *("part missing by colour", "ground left in by colour", "shadow left in") * 2,
    "part missing",
    "ground left in",
    "thin parts lost",
    "openings filled",
    "torn",
    "end missing",
    "moved",
    "too tight or wide",
)

TOLERATED = 2.2
"""Faults this near the true outline are none, where the product's longer side is 256."""

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Places:
    """What composites are made of, by name.

    Args:
        cutouts: Products.
        empty: Parts of photos that nothing stands out in.
        whole: Photos as they are: what is in them is clutter.
    """

    cutouts: Mapping[str, Rgba]
    empty: Mapping[str, NDArray[np.uint8]]
    whole: Mapping[str, NDArray[np.uint8]]


def hard_composite(number: int, seed: int, of: Places) -> tuple[str, NDArray[np.uint8], Floats]:
    """A photo that is hard to cut out: the product's name, RGB, true alpha (0 to 1)."""
    chance = np.random.default_rng((seed, number))
    product = str(chance.choice(sorted(of.cutouts)))
    side, ratio = int(chance.integers(*SIDES)), float(chance.choice([1, 1, 0.75, 1.33]))
    shape = (side, int(side / ratio)) if ratio >= 1 else (int(side * ratio), side)
    middle, extent = (chance.uniform(0.4, 0.6), chance.uniform(0.4, 0.6)), chance.uniform(0.35, 0.8)
    if chance.random() < 0.1:  # cut by the frame
        middle, extent = (middle[0], float(chance.choice([0.15, 0.85]))), chance.uniform(0.6, 1)
    colour, alpha = laid(of.cutouts[product], shape, middle, extent, chance.normal(0, 8))
    if chance.random() < 0.3:
        colour, alpha = trouble.with_loops(colour, alpha, chance)
    picture = _ground(of, colour, alpha, shape, chance)
    if chance.random() < 0.2:
        other = str(chance.choice([name for name in sorted(of.cutouts) if name != product]))
        aside = middle[0] + float(chance.choice([-1, 1])) * chance.uniform(0.2, 0.5)
        neighbour = laid(
            of.cutouts[other],
            shape,
            (aside, middle[1] + chance.uniform(-0.15, 0.15)),
            chance.uniform(0.2, 0.5),
            chance.normal(0, 20),
        )
        picture = trouble.with_neighbour(picture, *neighbour, chance)
    light = chance.random()
    if light < 0.3:
        picture = trouble.lit_from_aside(picture, alpha, chance)
    elif light < 0.8:
        cast = shadow_of(alpha, chance)[..., None]
        picture = picture * (1 - chance.uniform(0.15, 0.6) * cast)
    bright = 0.75 + 0.25 * picture.mean() / 128 * chance.uniform(0.8, 1.2)
    colour = colour * np.clip(bright, 0.5, 1.15)
    mixed = (colour * alpha[..., None] + picture * (1 - alpha[..., None])).astype(np.float32)
    if chance.random() < 0.15:
        mixed, alpha = trouble.with_grass(mixed, alpha, chance)
    blur = float(chance.choice([0, 0, 0.5, 0.8, 1.5]))
    if blur:
        mixed, alpha = (
            np.asarray(cv2.GaussianBlur(each, (0, 0), blur), np.float32) for each in (mixed, alpha)
        )
    exposed = mixed * float(chance.uniform(0.7, 1.2)) * chance.normal(1, 0.03, 3)
    exposed = exposed + chance.normal(0, 1, mixed.shape) * float(chance.choice([0, 1.5, 4]))
    bgr = np.clip(np.rint(exposed[..., ::-1]), 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(chance.choice([60, 80, 92]))]
    jpeg = cv2.imencode(".jpg", bgr, quality)[1].tobytes()
    return product, decode_rgb(jpeg), alpha


def _ground(
    of: Places, colour: Floats, alpha: Floats, shape: tuple[int, int], chance: np.random.Generator
) -> Floats:
    which = chance.random()
    if which < 0.2:
        return alike(colour, alpha, shape, chance)
    if which < 0.5:
        return ground_for(of.whole[str(chance.choice(sorted(of.whole)))], shape, chance)
    if which < 0.6:
        tint = np.clip(1 + chance.normal(0, 0.02, 3), 0.9, 1.1).astype(np.float32)
        return np.full((*shape, 3), chance.uniform(60, 250), np.float32) * tint
    return ground_for(of.empty[str(chance.choice(sorted(of.empty)))], shape, chance)


def damaged(rgb: NDArray[np.uint8], truth: Mask, fault: str, chance: np.random.Generator) -> Mask:
    """A cut-out with that fault, of random size, and the small errors that all have."""
    extent = float(max(np.ptp(axis) for axis in np.nonzero(truth))) + 1
    distance = _distance(truth)
    outline = np.argwhere(np.abs(distance) < 1.5)
    place = outline[chance.integers(len(outline))]
    reach = extent * float(chance.choice([0.04, 0.07, 0.12, 0.2, 0.35]))
    cut = truth.copy()
    match fault:
        case "part missing" | "ground left in":
            blob = _blob(truth.shape, place, reach, chance)
            cut = cut & ~blob if fault == "part missing" else _joined(cut | blob, truth)
        case "part missing by colour" | "ground left in by colour":
            blob = _of_a_colour(rgb, truth == (fault[0] == "p"), place, reach, chance)
            cut = cut & ~blob if fault[0] == "p" else _joined(cut | blob, truth)
        case "shadow left in":
            lightness = lab(rgb)[..., 0]
            dark = lightness < cv2.GaussianBlur(lightness, (0, 0), 0.3 * extent) - 3
            dark &= (distance < 0) & _blob(truth.shape, place, 2.5 * reach, chance)
            cut = _joined(cut | (_morphed(dark, cv2.MORPH_OPEN, 1)), truth)
        case "thin parts lost":
            radius = max(1, int(extent * float(chance.choice([0.01, 0.02, 0.035]))))
            cut = _morphed(cut, cv2.MORPH_OPEN, radius)
        case "openings filled":
            radius = max(1, int(extent * float(chance.choice([0.02, 0.04, 0.08, 0.15]))))
            cut = _morphed(cut, cv2.MORPH_CLOSE, radius)
        case "torn":
            depth = extent * float(chance.choice([0.006, 0.012, 0.025]))
            fine = _noise(truth.shape, extent * float(chance.choice([0.01, 0.02, 0.05])), chance)
            some = _noise(truth.shape, 0.3 * extent, chance) > float(chance.choice([-1, 0, 1]))
            cut = distance + fine * depth * some > 0
        case "end missing":
            angle = chance.uniform(0, 2 * np.pi)
            y, x = np.mgrid[: truth.shape[0], : truth.shape[1]]
            along = x * np.cos(angle) + y * np.sin(angle)
            along = along + 0.01 * extent * _noise(truth.shape, 0.1 * extent, chance)
            cut &= along < np.percentile(along[truth], chance.uniform(50, 97))
        case "moved":
            by = chance.normal(0, 0.012 * extent, 2)
            matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float32)
            cut = cv2.warpAffine(cut.astype(np.uint8), matrix, cut.shape[::-1]) > 0
        case "too tight or wide":
            cut = distance > extent * float(chance.choice([-0.015, -0.008, 0.008, 0.015]))
    calm = extent * float(chance.choice([0.001, 0.003, 0.006, 0.01]))
    smooth = 0.7 if fault == "none" else calm
    cut = cv2.GaussianBlur(cut.astype(np.float32), (0, 0), max(0.5, smooth)) > 0.5
    wave = extent * float(chance.choice([0.0005, 0.0015, 0.003]))
    return np.asarray(
        _distance(cut) + wave * _noise(cut.shape, 0.015 * extent, chance) > 0, np.bool_
    )


def faults(cut: Mask, truth: Mask) -> tuple[float, float]:
    """The largest wrong place and all of them, shares of the product's area."""
    scale = 256 / (float(max(np.ptp(axis) for axis in np.nonzero(truth))) + 1)
    size = tuple(max(1, int(side * scale)) for side in truth.shape[::-1])
    cut, truth = (
        cv2.resize(each.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
        for each in (cut, truth)
    )
    wrong = cut ^ truth
    far = wrong & (np.abs(_distance(truth)) > TOLERATED)
    labels = cv2.connectedComponents(wrong.astype(np.uint8))[1]
    areas = np.bincount(labels.ravel(), weights=far.ravel())
    areas[0] = 0
    return float(areas.max() / truth.sum()), float(far.sum() / truth.sum())


def _distance(marked: Mask) -> Floats:
    solid = marked.astype(np.uint8)
    inner, outer = (cv2.distanceTransform(each, cv2.DIST_L2, 3) for each in (solid, 1 - solid))
    return np.asarray(inner - outer, np.float32)


def _noise(shape: tuple[int, ...], cell: float, chance: np.random.Generator) -> Floats:
    """Smooth noise of mean 0 and deviation 1; a wave is about so many pixels long."""
    cell = max(1.0, cell)
    coarse = chance.normal(0, 1, [int(side / cell) + 3 for side in shape[:2]]).astype(np.float32)
    fine = cv2.resize(coarse, shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine / (fine.std() + 1e-6), np.float32)


def _blob(
    shape: tuple[int, ...], place: NDArray[Any], radius: float, chance: np.random.Generator
) -> Mask:
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(y - place[0], x - place[1]) / radius
    return np.asarray(away + 0.35 * _noise(shape, 0.7 * radius, chance) < 1, np.bool_)


def _of_a_colour(
    rgb: NDArray[np.uint8],
    side: Mask,
    place: NDArray[Any],
    reach: float,
    chance: np.random.Generator,
) -> Mask:
    """What has the most frequent colours around a place, of one side of the outline."""
    kinds = colour_kinds(lab(rgb))
    near = side & _blob(side.shape, place, reach, chance)
    if not near.any():
        return near
    frequent = np.argsort(np.bincount(kinds[near]))[::-1][: int(chance.integers(1, 4))]
    wider = _blob(side.shape, place, 1.8 * reach, chance) & np.isin(kinds, frequent)
    return _morphed(wider & side, cv2.MORPH_CLOSE, 2)


def _joined(cut: Mask, truth: Mask) -> Mask:
    """Without what does not touch the product."""
    labels = cv2.connectedComponents(cut.astype(np.uint8))[1]
    kept = np.unique(labels[truth & cut])
    return np.asarray(np.isin(labels, kept[kept > 0]), np.bool_)


def _morphed(marked: Mask, how: int, radius: int) -> Mask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    padded = np.pad(marked.astype(np.uint8), radius + 1)
    done = cv2.morphologyEx(padded, how, kernel) > 0
    return np.asarray(done[radius + 1 : -radius - 1, radius + 1 : -radius - 1], np.bool_)


def samples(number: int, seed: int, of: Places) -> list[dict[str, Any]]:
    """Some cut-outs of one composite."""
    chance = np.random.default_rng((seed, number, 1))
    product, rgb, alpha = hard_composite(number, seed, of)
    truth = alpha > 0.5
    if np.count_nonzero(truth) < 800:
        return []
    lines = []
    for fault in chance.choice(FAULTS, EACH, replace=False):
        cut = damaged(rgb, truth, str(fault), chance)
        if np.count_nonzero(cut) < 300:
            continue
        soft = cv2.GaussianBlur(cut.astype(np.float32), (0, 0), float(chance.uniform(0.5, 1.2)))
        levels = np.rint(soft * 255).astype(np.uint8)
        numbers = measure_evidence(View(rgb, rgb, levels)).numbers
        largest, total = faults(cut, truth)
        lines.append(
            {
                "composite": number,
                "product": product,
                "fault": str(fault),
                "largest": round(largest, 5),
                "all": round(total, 5),
                "numbers": {name: round(value, 5) for name, value in numbers.items()},
            }
        )
    return lines


def main() -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cutouts", type=Path, nargs="+", required=True)
    parser.add_argument("--grounds", type=Path, nargs="+", required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=77)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    read = {
        path.stem: read_cutout(path, 640)
        for folder in asked.cutouts
        for path in sorted(folder.glob("*.png"))
    }
    network = CutoutModel(ensure_model(CHECKOUT / "build" / "models"))
    whole, empty = {}, {}
    for path in [path for folder in asked.grounds for path in sorted(folder.glob("*.jpg"))]:
        rgb = decode_rgb(path.read_bytes(), cover=(700, 700))
        scale = min(1.0, 700 / max(rgb.shape[:2]))
        size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
        whole[path.stem] = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        part = empty_part(network, whole[path.stem])
        if part is not None:
            empty[path.stem] = part
    of = Places({name: rgba for name, rgba in read.items() if rgba is not None}, empty, whole)
    with asked.out.open("w", encoding="utf-8") as file:
        for number in range(asked.count):
            for line in samples(number, asked.seed, of):
                file.write(json.dumps(line) + "\n")
            file.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
