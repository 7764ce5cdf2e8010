"""What Dagster is told of a check of one photo."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.defs.assets.photos import _evaluation
from photopipe_dagster.pipeline.runner import StageDone
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict


def test_the_place_that_a_check_doubts_is_in_its_metadata():
    key = PhotoKey("MUG-1", "a" * 64, "default")
    done = SimpleNamespace(key=key, stage=Stage.MASK, result=SimpleNamespace(thumbnail=None))
    box = (0.1, 0.2, 0.3, 0.4)
    measures = (
        Measure("risk", 0.6, Verdict.WARN, "≤ 0.17", "Look.", box),
        Measure("halo", 0.1, box=box),
    )
    check = CheckResult("cutout_quality", Stage.MASK, measures)
    metadata = _evaluation(cast(StageDone, done), check, None).metadata
    assert metadata["risk_box"].value == list(box)
    assert metadata["risk"].value == 0.6
    assert "halo_box" not in metadata
