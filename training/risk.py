"""What holds bad cut-outs: judged photos against what the local networks say of themselves.

    python -m training.risk PHOTOS LABELS

PHOTOS has NAME.jpg, LABELS is a table (CSV) with the columns `file`, `label` and, if some of them
show the same product, `product`. A label is P (publishable), M (visible flaw) or N (not
publishable), of the cut-out as this version makes it; a person has to look.

Printed is, for limits of `Gates.looks` and `Gates.ground_inside`: how much of what goes out is N,
and how much of what is P or M goes out. Limits are chosen on one half of the products and reported
on the other. Last comes a logistic regression in five folds by product, which says whether more
than limits would be worth it. The numbers of each photo are kept in PHOTOS/risk.json, so that
another run takes no time; delete the file after the engine has changed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import ProviderError
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.measures import CutoutNumbers, View, measure_cutout
from photopipe_dagster.imaging.segmentation.cutout import CutoutModel, cut_out
from photopipe_dagster.imaging.segmentation.model import ensure_large_model, ensure_model
from photopipe_dagster.pipeline.stages.second_opinion import seen_by_ground
from photopipe_dagster.quality.gates import DEFAULT_GATES, AtMost, check_cutout
from photopipe_dagster.quality.results import Verdict

CHECKOUT = Path(__file__).resolve().parent.parent

LOOKS = (0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1)
"""Limits of `Gates.looks` that are tried."""

LEAST_OUT = 0.75
"""Share of the P and M that a chosen limit lets go out, of the half that it is chosen on."""

FOLDS = 5
PENALTY = 1.0
"""Of the regression's weights, squared; features have mean 0 and deviation 1."""

FEATURES = ("disagreement", "ground_share", "raw_iou", "witness_iou")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """A cut-out and its label.

    Args:
        product: Photos of one product are never on both sides of a split.
        label: P, M or N.
        facts: Those of `FEATURES`; empty where nothing was cut out.
        held: Whether it is held or fails without what the networks say of themselves.
    """

    product: str
    label: str
    facts: dict[str, float]
    held: bool

    @property
    def bad(self) -> bool:
        return self.label == "N"

    def goes_out(self, looks: float, ground_inside: float) -> bool:
        """Whether no limit holds it."""
        return not (
            self.held
            or self.facts["disagreement"] > looks
            or self.facts["ground_share"] > ground_inside
        )


def share_of(product: str, parts: int) -> int:
    """The part, of so many, that a product's photos are in; the same every time."""
    return int(hashlib.sha256(product.encode()).hexdigest(), 16) % parts


def measured(photo: bytes, model: CutoutModel, witness: CutoutModel) -> dict[str, Any]:
    """What is kept of a photo: the facts of its cut-out, and what the other gates say."""
    rgb = decode_rgb(photo)
    try:
        made = cut_out(model, rgb, witness)
    except ProviderError:
        return {"facts": {}, "held": True}
    cutout = CutoutPicture.from_rgba(made.rgba)
    view = View.of(photo, cutout)
    numbers: CutoutNumbers = measure_cutout(view, cutout)
    check = check_cutout(
        DEFAULT_GATES, numbers, found=made.raw_maximum, opinion=seen_by_ground(view)
    )
    facts = {name: float(getattr(made, name)) for name in FEATURES}
    return {"facts": facts, "held": check.verdict is not Verdict.PASS}


def judged(photos: Path, labels: Path) -> list[Judged]:
    """Measure what has a label, unless that was done.

    Raises:
        OSError: A file cannot be read.
        KeyError: The table has no such column.
    """
    kept = photos / "risk.json"
    known: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
    with labels.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if any(row["file"] not in known for row in rows):
        models = CHECKOUT / "build" / "models"
        large, small = CutoutModel(ensure_large_model(models)), CutoutModel(ensure_model(models))
        for row in rows:
            if row["file"] not in known:
                photo = (photos / row["file"]).read_bytes()
                known[row["file"]] = measured(photo, large, small)
        kept.write_text(json.dumps(known, indent=1), "utf-8")
    return [
        Judged(row.get("product") or row["file"], row["label"], **known[row["file"]])
        for row in rows
    ]


def told(photos: Iterable[Judged], looks: float, ground_inside: float) -> str:
    """What goes out with those limits, for people."""
    photos = list(photos)
    out = [each for each in photos if each.goes_out(looks, ground_inside)]
    bad = sum(each.bad for each in out)
    good = sum(not each.bad for each in photos)
    return (
        f"{len(out):3} of {len(photos)} go out; N {bad}/{len(out)} = {_share(bad, len(out))}; "
        f"P or M {len(out) - bad}/{good} = {_share(len(out) - bad, good)}"
    )


def chosen(photos: Sequence[Judged], ground_inside: float) -> float:
    """The strictest limit of `LOOKS` that lets enough of the P and M go out; else the widest."""
    good = [each for each in photos if not each.bad]
    for limit in LOOKS:
        if sum(each.goes_out(limit, ground_inside) for each in good) >= LEAST_OUT * len(good):
            return limit
    return LOOKS[-1]


def features(photos: Sequence[Judged]) -> Floats:
    """(photos, features): what is nearly 0 or nearly 1 by its logarithm."""
    rows = [[each.facts[name] for name in FEATURES] for each in photos]
    values = np.array(rows, np.float64)
    overlaps = [name.endswith("_iou") for name in FEATURES]
    values[:, overlaps] = 1 - values[:, overlaps]
    return np.asarray(np.log(values + 0.003), np.float64)


def fitted(rows: Floats, bad: NDArray[np.bool_]) -> Floats:
    """Weights of a logistic regression, the constant first; by Newton's method.

    Args:
        rows: (photos, features).
        bad: (photos,).
    """
    design = np.column_stack((np.ones(len(rows)), rows))
    penalty = np.diag([1e-6] + [PENALTY] * rows.shape[1])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        risk = _logistic(design @ weights)
        curvature = (design.T * (risk * (1 - risk))) @ design + penalty
        weights -= np.linalg.solve(curvature, design.T @ (risk - bad) + penalty @ weights)
    return weights


def risks(photos: Sequence[Judged]) -> Floats:
    """Each photo's risk, by weights that its product had no part in."""
    rows, bad = features(photos), np.array([each.bad for each in photos])
    fold = np.array([share_of(each.product, FOLDS) for each in photos])
    risk = np.zeros(len(photos))
    for number in set(fold.tolist()):
        rest = fold != number
        mean, deviation = rows[rest].mean(axis=0), rows[rest].std(axis=0) + 1e-9
        scaled = (rows - mean) / deviation
        weights = fitted(scaled[rest], bad[rest])
        risk[~rest] = _logistic(weights[0] + scaled[~rest] @ weights[1:])
    return risk


def _logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)), np.float64)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.0f} %"


def main() -> int:
    """Print what the limits do."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("labels", type=Path)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    photos = [each for each in judged(asked.photos, asked.labels) if each.facts]
    ground_inside = DEFAULT_GATES.ground_inside.warn
    print(f"without these limits: {told(photos, np.inf, np.inf)}")
    for limit in LOOKS:
        print(f"looks {AtMost(limit)}: {told(photos, limit, ground_inside)}")
    halves = [[each for each in photos if share_of(each.product, 2) == half] for half in (0, 1)]
    for one, other in (halves, halves[::-1]):
        limit = chosen(one, ground_inside)
        print(f"chosen on one half, looks {AtMost(limit)}: {told(one, limit, ground_inside)}")
        print(f"  on the other half: {told(other, limit, ground_inside)}")
    risk, bad = risks(photos), np.array([each.bad for each in photos])
    print(f"regression in {FOLDS} folds: Brier {np.mean((risk - bad) ** 2):.3f}, ", end="")
    print(f"without any measure {bad.mean() * (1 - bad.mean()):.3f}")
    for limit in (0.25, 0.3, 0.4, 0.5):
        asked_of = [
            replace(each, held=each.held or bool(value > limit))
            for each, value in zip(photos, risk, strict=True)
        ]
        print(f"risk {AtMost(limit)}: {told(asked_of, np.inf, np.inf)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
