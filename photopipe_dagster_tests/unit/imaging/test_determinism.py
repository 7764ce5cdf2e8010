"""The same photo in the same theme is the same bytes in every process.

Hashes of strings differ from process to process unless PYTHONHASHSEED is set; whatever depended on
the order of a set would differ with them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from photopipe_dagster.themes.builtin import THEMES

SEEDS = ("0", "1")

PROGRAM = """
import hashlib, json, sys
import cv2
from photopipe_dagster.pipeline.purchase_keys import background_request
from photopipe_dagster.pipeline.stages.composite import composite_recipe, scene_of
from photopipe_dagster.imaging.composite import CutoutPicture, encode_jpeg
from photopipe_dagster.imaging.finishing import finish
from photopipe_dagster.imaging.png import decode_cutout, encode_cutout
from photopipe_dagster.imaging.provenance import SourceType, xmp_packet
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.providers.local.scenes import render
from photopipe_dagster.sandbox.pictures import border_cut_out
from photopipe_dagster.themes.builtin import THEMES
import numpy as np
from photopipe_dagster_tests.support.bad_pictures import GOOD

cv2.setNumThreads(int(sys.argv[1]))
found = {}
png = encode_cutout(decode_cutout(border_cut_out(GOOD)))
found["cut-out"] = hashlib.sha256(png).hexdigest()
for name, look in THEMES.items():
    key = PhotoKey("SKU-1", "a" * 64, name)
    request = background_request(THEMES[key.theme], key, (480, 480))
    size = request.width, request.height
    if look.background == "white":
        scene = np.full((*size[::-1], 3), 255, np.uint8)
    else:
        scene = render(name, *size, request.seed)
    for lies in (False, True):
        made = finish(
            CutoutPicture.from_png(png),
            encode_jpeg(scene, quality=92, full_colour=True),
            scene_of(look, lies=lies),
            rules=look.rules,
            xmp=xmp_packet(SourceType.COMPOSITE, f"{key.sku}, {name}"),
        )
        found[f"{name}, {made.composite.pose}"] = hashlib.sha256(made.composite.jpeg).hexdigest()
    found[f"{name}, recipe"] = composite_recipe(look, SourceType.COMPOSITE, {"b": "1", "a": "2"})
print(json.dumps(found))
"""


def digests(seed: str, threads: str) -> dict[str, str]:
    """What a process of its own makes of one photo, in every theme and pose."""
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM, threads],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(made.stdout)
    return found


@pytest.fixture(scope="module")
def processes() -> list[dict[str, str]]:
    return [digests(seed, threads) for seed, threads in zip(SEEDS, ("1", "2"), strict=True)]


@pytest.mark.parametrize("name", ["cut-out", *THEMES])
def test_two_processes_make_the_same_bytes(name: str, processes: list[dict[str, str]]) -> None:
    first, second = (
        {key: value for key, value in found.items() if key.split(",")[0] == name}
        for found in processes
    )
    assert first == second
    assert len(first) >= (1 if name == "cut-out" else 2)


def test_another_pose_and_another_theme_are_other_bytes(processes: list[dict[str, str]]) -> None:
    pictures = [value for key, value in processes[0].items() if not key.endswith("recipe")]
    assert len(set(pictures)) == len(pictures)
