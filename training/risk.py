"""Find the weights of the risk, and say how well it does on photos that it was not found on.

    python -m training.risk SAMPLES.jsonl PHOTOS LABELS [--write]

SAMPLES is the table of `training.damage`. PHOTOS has NAME.jpg, LABELS is a table (CSV) with the
columns `file`, `label` and, if some of them show the same product, `product`. A label is P
(publishable), M (visible flaw) or N (not publishable), of the cut-out as this version makes it; a
person has to look.

Weights are those of a logistic regression on the judged photos, none of them negative. Everything
printed of them is in folds by product. On the samples, whose faults are known exactly, it is only
told how well the same sum orders them: a sample is bad from a fault of 1.2 % of the product on, or
from 4 % of all faults, and good below a third of that. The numbers of each photo are kept in
PHOTOS/risk.json, so that another run takes no time; delete the file after the engine has changed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.core.errors import ProviderError
from photopipe_dagster.imaging.composite import CutoutPicture
from photopipe_dagster.imaging.decode import decode_rgb
from photopipe_dagster.imaging.evidence import measure_evidence
from photopipe_dagster.imaging.measures import CutoutNumbers, View, measure_cutout
from photopipe_dagster.imaging.segmentation.cutout import CutoutModel, SegmentedProduct, cut_out
from photopipe_dagster.imaging.segmentation.model import ensure_large_model, ensure_model
from photopipe_dagster.pipeline.stages.second_opinion import seen_by_ground
from photopipe_dagster.quality.gates import DEFAULT_GATES, check_cutout
from photopipe_dagster.quality.results import Verdict
from photopipe_dagster.quality.risk import value_of

CHECKOUT = Path(__file__).resolve().parent.parent
MODEL: Final = CHECKOUT / "photopipe_dagster" / "quality" / "risk.json"

BAD: Final = (0.012, 0.04)
"""Largest fault, and all faults, from which a sample is bad; shares of the product's area."""

GOOD: Final = (0.004, 0.012)
"""The same, up to which it is good."""

FOLDS: Final = 5
PENALTY: Final = 8.0
"""Of the regression's weights, squared; numbers have mean 0 and deviation 1."""

CLIP: Final = 3.0
"""Deviations beyond which a number says no more, as `quality.risk` has it."""

NUMBERS: Final[dict[str, tuple[str, float | None]]] = {
    "alike": ("pale", 0.02),
    "like_ground*spread": ("pale", 0.01),
    "unseen": ("pale", 0.01),
    "ground_inside_share": ("ground inside", 0.003),
    "stray": ("stray", None),
    "busy": ("ground", 0.02),
    "rough": ("ground", 0.3),
    "uneven": ("ground", 0.5),
    "thin": ("thin", 0.01),
    "sides": ("frame", None),
    "spread": ("looks", 0.01),
    "disagreement": ("looks", 0.003),
    "doubt_inside": ("looks", 0.002),
    "doubt_outside": ("looks", 0.01),
    "doubt_inside*uneven": ("looks", 0.005),
}
"""What is asked of `imaging.evidence` and of the networks; more is worse. The concern that a number
tells of, and the floor of its logarithm (``None``: no logarithm). Of two names that ``*`` joins it
is the product."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """A cut-out and its label.

    Args:
        product: Photos of one product are never on both sides of a split.
        label: P, M or N.
        numbers: Evidence and what the networks say; empty where nothing was cut out.
        held: Whether it is held or fails by other gates.
    """

    file: str
    product: str
    label: str
    numbers: dict[str, float]
    held: bool

    @property
    def bad(self) -> bool:
        return self.label == "N"


@dataclass(frozen=True)
class Fitted:
    """A regression.

    Args:
        middle: Subtracted from each of `NUMBERS`.
        spread: What is left is divided by it, and clipped.
        weights: Of what is left; the constant first.
    """

    middle: Floats
    spread: Floats
    weights: Floats

    @classmethod
    def to(cls, photos: Sequence[Judged]) -> Fitted:
        """Find the weights by these photos."""
        logs = _logs([each.numbers for each in photos])
        middle, spread = logs.mean(axis=0), logs.std(axis=0) + 1e-9
        rows = np.clip((logs - middle) / spread, -CLIP, CLIP)
        return cls(middle, spread, regression(rows, np.array([each.bad for each in photos])))

    def odds(self, numbers: Sequence[Mapping[str, float]]) -> Floats:
        """Logarithm of the odds of an N; a number that is not known does not count."""
        rows = np.clip((_logs(numbers) - self.middle) / self.spread, -CLIP, CLIP)
        return np.asarray(self.weights[0] + np.nan_to_num(rows) @ self.weights[1:], np.float64)

    def as_record(self) -> dict[str, Any]:
        """As ``risk.json`` has it."""
        columns = zip(NUMBERS.items(), self.middle, self.spread, self.weights[1:], strict=True)
        return {
            "intercept": round(float(self.weights[0]), 4),
            "terms": [
                {
                    "of": name,
                    "concern": concern,
                    "floor": floor,
                    "middle": round(float(middle), 4),
                    "spread": round(float(spread), 4),
                    "weight": round(float(weight), 4),
                }
                for (name, (concern, floor)), middle, spread, weight in columns
                if weight
            ],
        }


def _logs(numbers: Sequence[Mapping[str, float]]) -> Floats:
    columns = []
    for name, (_, floor) in NUMBERS.items():
        values = np.array([value_of(name, each) for each in numbers], np.float64)
        columns.append(values if floor is None else np.log(values + floor))
    return np.column_stack(columns)


def share_of(product: str, parts: int) -> int:
    """The part, of so many, that a product's photos are in; the same every time."""
    return int(hashlib.sha256(product.encode()).hexdigest(), 16) % parts


def regression(rows: Floats, bad: NDArray[np.bool_], penalty: float = PENALTY) -> Floats:
    """Weights of a logistic regression, the constant first; by Newton's method. None is negative
    whose number speaks against a cut-out: it is left out instead.

    Args:
        rows: (photos, numbers); more is worse.
        bad: (photos,).
    """
    kept = np.ones(rows.shape[1], np.bool_)
    while True:
        design = np.column_stack((np.ones(len(rows)), rows[:, kept]))
        ridge = np.diag([1e-6] + [penalty] * int(kept.sum()))
        weights = np.zeros(design.shape[1])
        for _ in range(50):
            risk = logistic(design @ weights)
            curvature = (design.T * (risk * (1 - risk))) @ design + ridge
            weights -= np.linalg.solve(curvature, design.T @ (risk - bad) + ridge @ weights)
        if not (weights[1:] < 0).any():
            break
        kept[np.flatnonzero(kept)[weights[1:].argmin()]] = False
    full = np.zeros(rows.shape[1] + 1)
    full[0], full[1:][kept] = weights[0], weights[1:]
    return full


def _is_bad(sample: dict[str, Any]) -> bool:
    return bool(sample["largest"] > BAD[0] or sample["all"] > BAD[1])


def decided(samples: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are plainly good or plainly bad."""
    return [
        each
        for each in samples
        if _is_bad(each) or (each["largest"] < GOOD[0] and each["all"] < GOOD[1])
    ]


def risks(photos: Sequence[Judged]) -> Floats:
    """Each photo's risk, by weights that its product had no part in."""
    fold = np.array([share_of(each.product, FOLDS) for each in photos])
    risk = np.zeros(len(photos))
    for number in sorted(set(fold.tolist())):
        rest = [each for each, part in zip(photos, fold, strict=True) if part != number]
        these = [each for each, part in zip(photos, fold, strict=True) if part == number]
        odds = Fitted.to(rest).odds([each.numbers for each in these])
        risk[fold == number] = logistic(odds)
    return risk


def logistic(values: Floats) -> Floats:
    """Probabilities of the logarithms of odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), np.float64)


def networks_say(made: SegmentedProduct) -> dict[str, float]:
    """What is kept of a cut-out's own facts."""
    return {
        "disagreement": made.disagreement,
        "spread": made.doubts.spread,
        "doubt_inside": made.doubts.inside,
        "doubt_outside": made.doubts.outside,
    }


def measured(photo: bytes, model: CutoutModel, witness: CutoutModel) -> dict[str, Any]:
    """What is kept of a photo: all numbers, and what the other gates say."""
    try:
        made = cut_out(model, decode_rgb(photo), witness)
    except ProviderError:
        return {"numbers": {}, "held": True}
    cutout = CutoutPicture.from_rgba(made.rgba)
    view = View.of(photo, cutout)
    numbers: CutoutNumbers = measure_cutout(view, cutout)
    check = check_cutout(
        DEFAULT_GATES if numbers.aside else DEFAULT_GATES.at_the_frame(),
        numbers,
        found=made.raw_maximum,
        opinion=seen_by_ground(view),
        looks=made.disagreement,
        ground_inside=made.ground_share,
    )
    return {
        "numbers": measure_evidence(view).numbers | networks_say(made),
        "held": check.verdict is not Verdict.PASS,
    }


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
        Judged(row["file"], row.get("product") or row["file"], row["label"], **known[row["file"]])
        for row in rows
    ]


def told(photos: Sequence[Judged], held: NDArray[np.bool_]) -> str:
    """What goes out where that is held, too; for people."""
    out = [each for each, here in zip(photos, held, strict=True) if not (here or each.held)]
    bad, good = sum(each.bad for each in out), sum(not each.bad for each in photos)
    return (
        f"{len(out):3} of {len(photos)} go out; N {bad}/{len(out)} = {_share(bad, len(out))}; "
        f"P or M {len(out) - bad}/{good} = {_share(len(out) - bad, good)}"
    )


def ordering(risk: Floats, bad: NDArray[np.bool_]) -> float:
    """Share of the pairs of a good and a bad one in which the bad one is told to be worse."""
    pairs = risk[bad][:, None] - risk[~bad][None]
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def reliability(risk: Floats, bad: NDArray[np.bool_]) -> Iterable[str]:
    """Rows of a table: told risk, N that there were, photos."""
    edges = (0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.01)
    for low, high in pairwise(edges):
        here = (risk >= low) & (risk < high)
        if here.any():
            yield (
                f"| {low:.2f} to {min(high, 1):.2f} | {risk[here].mean():.2f} | "
                f"{bad[here].mean():.2f} | {int(here.sum())} |"
            )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.0f} %"


def main() -> int:
    """Print how good the risk is, and write it if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {MODEL.name}")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    lines = asked.samples.read_text("utf-8").splitlines()
    samples = decided(json.loads(line) for line in lines)
    photos = [each for each in judged(asked.photos, asked.labels) if each.numbers]
    bad = np.array([each.bad for each in photos])

    found = Fitted.to(photos)
    wrong = np.array([_is_bad(each) for each in samples])
    ordered = ordering(found.odds([each["numbers"] for each in samples]), wrong)
    print(f"{len(samples)} samples, {wrong.sum()} of them bad: AUC {ordered:.3f}")

    risk = risks(photos)
    print(f"{len(photos)} judged photos in {FOLDS} folds: AUC {ordering(risk, bad):.3f}")
    print(f"Brier {np.mean((risk - bad) ** 2):.3f}, ", end="")
    print(f"without any measure {bad.mean() * (1 - bad.mean()):.3f}")
    print("| told | mean | N | photos |\n|---|---|---|---|")
    print("\n".join(reliability(risk, bad)))
    print(f"no risk, other gates: {told(photos, np.zeros(len(photos), np.bool_))}")
    for limit in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5):
        print(f"risk <= {limit:4}:         {told(photos, risk > limit)}")
    if asked.write:
        MODEL.write_text(json.dumps(found.as_record(), indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
