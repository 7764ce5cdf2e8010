"""What the quality gates cost, and what they say of photos that are known to be good.

python -m benchmarks.gates                  photos of $PHOTOPIPE_PHOTOS, or ../shared/photos
python -m benchmarks.gates PHOTOS_DIR       photos NAME.jpg

The first table has processor milliseconds of a photo, on one thread. The second has the numbers of
each photo, cut out by the local network, beside the limits of `quality.gates`; what
falls short is marked.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from photopipe_dagster.imaging.composite import CutoutPicture, encode_jpeg
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.measures import CutoutNumbers, View, measure_cutout, measure_picture
from photopipe_dagster.imaging.segmentation.cutout import CutoutModel, cut_out
from photopipe_dagster.imaging.segmentation.model import ensure_large_model, ensure_model
from photopipe_dagster.imaging.stability import firmness
from photopipe_dagster.imaging.viewpoint import round_base
from photopipe_dagster.pipeline.stages.second_opinion import (
    second_product,
    seen_by_ground,
    seen_by_network,
)
from photopipe_dagster.quality.gates import DEFAULT_GATES, check_cutout
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict

CHECKOUT = Path(__file__).resolve().parent.parent
SIZES = (1024, 2048)
ROUNDS = 9


def drawn(side: int) -> tuple[bytes, CutoutPicture]:
    """A photo of that size, and its cut-out: a textured disc with a hole on 40 % of the frame."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    radius = np.hypot(x, y)
    alpha = np.clip((0.36 - radius) * side, 0, 1) * np.clip((radius - 0.08) * side, 0, 1)
    noise = np.random.default_rng(0).normal(0, 3, (side, side, 1)).astype(np.float32)
    product = 90 + 60 * np.sin(60 * x)[..., None] * np.array([1, 0.5, 0.2], np.float32) + noise
    mixed = product * alpha[..., None] + (235 + noise) * (1 - alpha[..., None])
    photo = np.clip(mixed, 0, 255).astype(np.uint8)
    rgba = np.dstack((photo, np.rint(alpha * 255).astype(np.uint8)))
    return encode_jpeg(photo), CutoutPicture.from_rgba(rgba)


def milliseconds(work: Callable[[], object]) -> float:
    """Median processor time of one call."""
    work()
    took = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        took.append(1000 * (time.process_time() - started))
    return statistics.median(took)


def costs(model: CutoutModel) -> Table:
    """What each part costs."""
    table = Table(
        "processor ms a photo", *(f"{size} px" for size in SIZES), title="Cost of the gates"
    )
    rows: dict[str, list[float]] = {}
    for size in SIZES:
        photo, cutout = drawn(size)
        view = View.of(photo, cutout)
        parts: dict[str, Callable[[], object]] = {
            "decode and shrink": partial(View.of, photo, cutout),
            "measure the cut-out": partial(measure_cutout, view, cutout),
            "measure the picture": partial(measure_picture, photo),
            "firmness, in the composite": partial(firmness, cutout.alpha),
            "steepness, in the composite": partial(round_base, cutout.alpha),
            "second opinion, ground": partial(seen_by_ground, view),
            "second opinion, network": partial(seen_by_network, view, model),
            "second product": partial(second_product, view.photo, (0, 0, 9, 9), model),
        }
        for name, work in parts.items():
            rows.setdefault(name, []).append(milliseconds(work))
    for name, figures in rows.items():
        table.add_row(name, *(f"{figure:.1f}" for figure in figures))
    return table


def judged(model: CutoutModel, witness: CutoutModel, photo: bytes) -> CheckResult:
    """What the gates say of a photo that the local networks cut out."""
    rgb: NDArray[np.uint8] = decode_rgb(photo)
    made = cut_out(model, rgb, witness)
    cutout = CutoutPicture.from_rgba(made.rgba)
    view = View.of(photo, cutout)
    check = check_cutout(
        DEFAULT_GATES,
        measure_cutout(view, cutout),
        found=made.raw_maximum,
        opinion=seen_by_ground(view),
        looks=made.disagreement,
        ground_inside=made.ground_share,
    )
    firm = round(firmness(cutout.alpha), 3)  # asked where the composite has a ground
    stands = Measure("firmness", firm, DEFAULT_GATES.firmness.verdict(firm))
    base = round_base(cutout.alpha)
    degrees = 0.0 if base is None else round(base.degrees, 1)
    seen = Measure("steepness", degrees, DEFAULT_GATES.steepness.verdict(degrees))
    return replace(check, measures=(*check.measures, stands, seen))


def numbers(folder: Path, model: CutoutModel, witness: CutoutModel) -> Table:
    """The numbers of all photos of a folder."""
    photos = sorted(folder.glob("*.jpg"))
    checks = {path.stem: judged(model, witness, path.read_bytes()) for path in photos}
    names = list(dict.fromkeys(each.name for check in checks.values() for each in check.measures))
    table = Table("photo", *names, title=f"Numbers ({len(fields(CutoutNumbers))} of a cut-out)")
    marks = {Verdict.PASS: "", Verdict.WARN: " ?", Verdict.FAIL: " !"}
    for name, check in checks.items():
        shown = {
            each.name: f"{each.value:.3g}{marks[each.verdict]}"
            if isinstance(each.value, float)
            else f"{each.value}{marks[each.verdict]}"
            for each in check.measures
        }
        table.add_row(name, *(shown.get(each, "–") for each in names))
    return table


def main() -> int:
    """Print the tables; the second only where there are photos."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("PHOTOPIPE_PHOTOS") or CHECKOUT.parent / "shared" / "photos"
    parser.add_argument("photos", nargs="?", type=Path, default=Path(default))
    folder = parser.parse_args().photos
    cv2.setNumThreads(1)
    model = CutoutModel(ensure_model(CHECKOUT / "build" / "models"))
    model.saliency(np.zeros((320, 320, 3), np.uint8))
    console = Console(width=200)
    console.print(costs(model))
    if any(folder.glob("*.jpg")):
        large = CutoutModel(ensure_large_model(CHECKOUT / "build" / "models"))
        console.print(numbers(folder, large, model))
    else:
        print(f"No photos in {folder}; name a folder or set PHOTOPIPE_PHOTOS.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
