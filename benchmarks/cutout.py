"""How good the local cut-out is: what one look of each network sees, against the engine.

python -m benchmarks.cutout                 photos of $PHOTOPIPE_PHOTOS, or ../shared/photos
python -m benchmarks.cutout PHOTOS_DIR      photos NAME.jpg with the true alpha truth/NAME.png

IoU       overlap of product and truth, both cut at half alpha; 1 is perfect
MAE       mean error of alpha over the picture, thousandths
edge F    share of the edge that lies within 2 pixels of the true edge, F-measure
shadow    alpha farther than 15 pixels from the product, thousandths of the product's area
halo      mean error of colour (of 255) within 6 pixels of the true edge, set on three grounds
seconds   processor time of one photo, on one thread
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.segmentation.cutout import CutoutModel, cut_out
from photopipe_dagster.imaging.segmentation.model import ensure_large_model, ensure_model

CHECKOUT = Path(__file__).resolve().parent.parent
COLUMNS = ("IoU", "MAE", "edge F", "shadow", "halo", "seconds")
GROUNDS = ((20, 20, 20), (255, 0, 255), (0, 140, 60))

Rgba = NDArray[np.uint8]
Floats = NDArray[Any]


def raw(model: CutoutModel, rgb: NDArray[np.uint8]) -> Rgba:
    """One look, its map enlarged: what refining is compared with."""
    seen = model.saliency(rgb).map
    alpha = cv2.resize(seen, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.dstack((rgb, np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)))


def quality(rgb: NDArray[np.uint8], cutout: Rgba, truth: Floats) -> list[float]:
    """All columns but the time."""
    alpha = cutout[..., 3].astype(np.float32) / 255
    product, true_product = alpha > 0.5, truth > 0.5
    overlap = (product & true_product).sum() / (product | true_product).sum()
    edge, true_edge = _edge(product), _edge(true_product)
    from_truth = _distance(true_edge)
    precision, recall = (from_truth[edge] <= 2).mean(), (_distance(edge)[true_edge] <= 2).mean()
    far = _distance(truth > 0) > 15
    return [
        overlap,
        1000 * np.abs(alpha - truth).mean(),
        2 * precision * recall / max(precision + recall, 1e-9),
        1000 * alpha[far].sum() / truth.sum(),
        _halo(rgb, cutout, truth, from_truth <= 6),
    ]


def _halo(rgb: NDArray[np.uint8], cutout: Rgba, truth: Floats, near: NDArray[np.bool_]) -> float:
    """Error of colour on other grounds. The true picture there is known without knowing the
    product's colour: the photo, less the old ground's share, plus the new ground's."""
    clear = cv2.erode((truth < 0.004).astype(np.float32), np.ones((5, 5)))
    weight = cv2.GaussianBlur(clear, (0, 0), 8)
    old = cv2.GaussianBlur(rgb * clear[..., None], (0, 0), 8) / np.maximum(weight, 1e-4)[..., None]
    alpha, rest = cutout[..., 3:].astype(np.float32) / 255, 1 - truth[..., None]
    errors = []
    for ground in GROUNDS:
        new = np.array(ground, np.float32)
        expected = rgb - rest * old + rest * new
        seen = cutout[..., :3] * alpha + (1 - alpha) * new
        errors.append(np.abs(expected - seen)[near & (weight > 1e-3)].mean())
    return float(np.mean(errors))


def _edge(product: NDArray[np.bool_]) -> Any:
    inner = cv2.erode(product.astype(np.uint8), np.ones((3, 3), np.uint8))
    return product & (inner == 0)


def _distance(marked: NDArray[np.bool_]) -> Floats:
    return cv2.distanceTransform((~marked).astype(np.uint8), cv2.DIST_L2, 5)


def measure(folder: Path, small: CutoutModel, large: CutoutModel) -> Table:
    """A row for each photo that has its truth, and the means."""
    table = Table("photo", "", *COLUMNS, title="Cut-outs")
    ways: dict[str, Callable[[NDArray[np.uint8]], Rgba]] = {
        "small, one look": lambda rgb: raw(small, rgb),
        "large, one look": lambda rgb: raw(large, rgb),
        "small alone": lambda rgb: cut_out(small, rgb).rgba,
        "both": lambda rgb: cut_out(large, rgb, small).rgba,
    }
    rows: dict[str, list[list[float]]] = {way: [] for way in ways}
    for path in sorted((folder / "truth").glob("*.png")):
        rgb = decode_rgb((folder / f"{path.stem}.jpg").read_bytes())
        truth = decode_rgb(path.read_bytes())[..., 0].astype(np.float32) / 255
        for way, function in ways.items():
            started = time.process_time()
            cutout = function(rgb)
            seconds = time.process_time() - started
            rows[way].append([*quality(rgb, cutout, truth), seconds])
            table.add_row(path.stem, way, *_shown(rows[way][-1]))
        table.add_section()
    for way, figures in rows.items():
        table.add_row("mean", way, *_shown(np.mean(figures, axis=0)), style="bold")
        worst = (np.min, np.max, np.min, np.max, np.max, np.max)
        columns = list(zip(worst, zip(*figures, strict=True), strict=True))
        bad = [5 if pick is np.min else 95 for pick in worst]
        table.add_row("95 % are better", way, *_shown(_percentiles(figures, bad)))
        table.add_row("worst", way, *_shown([pick(column) for pick, column in columns]))
    return table


def _percentiles(figures: Any, shares: list[int]) -> list[float]:
    columns = zip(*figures, strict=True)
    return [float(np.percentile(c, share)) for c, share in zip(columns, shares, strict=True)]


def _shown(figures: Any) -> list[str]:
    digits = (4, 2, 3, 3, 2, 2)
    return [f"{figure:.{places}f}" for figure, places in zip(figures, digits, strict=True)]


def main() -> int:
    """Print the table; 0 also where there are no photos."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = os.environ.get("PHOTOPIPE_PHOTOS") or CHECKOUT.parent / "shared" / "photos"
    parser.add_argument("photos", nargs="?", type=Path, default=Path(default))
    folder = parser.parse_args().photos
    if not any((folder / "truth").glob("*.png")):
        print(f"No photos with their truth in {folder}; name a folder or set PHOTOPIPE_PHOTOS.")
        return 0
    # One thread, so that processor time is the time of one processor.
    cv2.setNumThreads(1)
    models = CHECKOUT / "build" / "models"
    small, large = CutoutModel(ensure_model(models)), CutoutModel(ensure_large_model(models))
    for model in (small, large):
        model.saliency(np.zeros((320, 320, 3), np.uint8))
    Console(width=110).print(measure(folder, small, large))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
