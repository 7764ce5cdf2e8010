"""Compositing against sharp: the same pictures, interleaved, one thread each; and the cut-out.

    python benchmarks/imaging.py            all sizes, about three minutes
    python benchmarks/imaging.py --quick    one size, some seconds

sharp's newest version is installed from npm into benchmarks/out/sharp the first time; where there
is no Node or no network, only our own times are shown. Wall-clock and processor time are both
given: on a busy machine the second is the steadier one. Results go to benchmarks/out/imaging.md.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from photopipe_dagster.imaging.composite import CutoutPicture, Scene, compose, encode_jpeg
from photopipe_dagster.imaging.fidelity import compare
from photopipe_dagster.imaging.finishing import read_back
from photopipe_dagster.imaging.matting import edge_colour
from photopipe_dagster.imaging.measures import View, measure_cutout
from photopipe_dagster.imaging.png import encode_cutout
from photopipe_dagster.imaging.segmentation.cutout import CutoutModel, Saliency, cut_out
from photopipe_dagster.imaging.segmentation.model import ensure_large_model, ensure_model
from photopipe_dagster.pipeline.stages.second_opinion import seen_by_ground
from photopipe_dagster.quality.gates import DEFAULT_GATES, check_cutout
from photopipe_dagster.themes.builtin import THEMES

STUDIO = THEMES["default"].light
LUXURY = THEMES["luxury"].light

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
SHARP = OUT / "sharp"
THREADS = 1

TWO_STEP = "sharp, two steps (specification)"
ONE_STEP = "sharp, one step"
ONE_STEP_OURS = "sharp, one step, PNG of our writing"
SHARP_MEMORY = "sharp, one step, decoded box in memory"
FOREIGN = "ours, PNG of others"
STORED = "ours, PNG of our writing"
MEMORY = "ours, cut-out in memory"
SHADOW = "ours, in memory, with shadow"
GLOSS = "ours, in memory, shadow and reflection"
EDGES = "ours, in memory, edges cleaned, with shadow"
PROOF = "ours, the proof of fidelity alone"

CUT_SIDE = 2048
CUT_OUTS = {
    "both networks, easy": (False, True),
    "both networks, doubtful": (True, True),
    "the small network alone, easy": (False, False),
}
"""Of each row: whether the looks contradict each other, and whether the large network is there."""

TARGETS = (
    ("cut-out in memory against two steps", TWO_STEP, MEMORY, 6.0),
    ("cut-out in memory against one step", ONE_STEP, MEMORY, 4.0),
    ("stored bytes against two steps", TWO_STEP, STORED, 2.5),
    ("with shadow against two steps", TWO_STEP, SHADOW, 1.5),
    ("with shadow and edge work against two steps", TWO_STEP, EDGES, 1.5),
)


@dataclass(frozen=True)
class Case:
    """One pair of pictures."""

    cutout: int
    background: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.cutout} / {self.background[0]}×{self.background[1]}"


CASES = (
    Case(1024, (2048, 2048)),
    Case(2048, (2048, 2048)),
    Case(2048, (2304, 1792)),
    Case(4096, (4096, 4096)),
)


@dataclass(frozen=True)
class Inputs:
    """The pictures of a case: in memory for us, in files for sharp."""

    rgba: NDArray[np.uint8]
    scene: NDArray[np.uint8]
    foreign_png: bytes
    own_png: bytes
    background: bytes
    cutout: CutoutPicture

    @classmethod
    def of(cls, case: Case) -> Inputs:
        chance = np.random.default_rng(case.cutout)
        scene = photographic(*case.background, chance)
        product = photographic(case.cutout, case.cutout, chance)
        rgba = np.dstack((product, product_alpha(case.cutout)))
        rgba[rgba[:, :, 3] == 0] = 0
        file = io.BytesIO()
        Image.fromarray(rgba).save(file, "PNG", compress_level=6)
        own = encode_cutout(rgba)
        return cls(
            rgba, scene, file.getvalue(), own, encode_jpeg(scene), CutoutPicture.from_png(own)
        )

    def ours(self) -> dict[str, Callable[[], bytes]]:
        """Our ways, by name."""

        def stored(png: bytes) -> bytes:
            return compose(CutoutPicture.from_png(png), self.background, Scene(light=None)).jpeg

        def cleaned() -> bytes:
            alpha = self.cutout.alpha.astype(np.float32) / 255
            own = edge_colour(self.cutout.rgb, alpha)
            cutout = replace(self.cutout, rgb=own)
            return compose(cutout, self.background, Scene(light=STUDIO)).jpeg

        made = compose(self.cutout, self.background, Scene(light=None))
        left, top, right, bottom = made.box

        def proved() -> bytes:
            rgb = read_back(made.jpeg)[top:bottom, left:right]
            compare(self.cutout.rgb, rgb, self.cutout.alpha)
            return made.jpeg

        return {
            FOREIGN: lambda: stored(self.foreign_png),
            STORED: lambda: stored(self.own_png),
            MEMORY: lambda: compose(self.cutout, self.background, Scene(light=None)).jpeg,
            SHADOW: lambda: compose(self.cutout, self.background, Scene(light=STUDIO)).jpeg,
            GLOSS: lambda: compose(self.cutout, self.background, Scene(light=LUXURY)).jpeg,
            EDGES: cleaned,
            PROOF: proved,
        }

    def sharps(self, folder: Path) -> dict[str, dict[str, object]]:
        """sharp's ways, by name: requests for the worker."""
        foreign, own, background = folder / "foreign.png", folder / "own.png", folder / "scene.jpg"
        foreign.write_bytes(self.foreign_png)
        own.write_bytes(self.own_png)
        background.write_bytes(self.background)

        def request(way: str, png: Path) -> dict[str, object]:
            return {
                "way": way,
                "cutout": str(png),
                "background": str(background),
                "box": self.cutout.box,
            }

        return {
            TWO_STEP: request("two-step", foreign),
            ONE_STEP: request("one-step", foreign),
            ONE_STEP_OURS: request("one-step", own),
            SHARP_MEMORY: request("in-memory", own),
        }


@dataclass
class Figures:
    """What was measured of one way."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    size: int = 0
    decibels: float = 0.0
    peak: float = 0.0


def photographic(width: int, height: int, chance: np.random.Generator) -> NDArray[np.uint8]:
    """Noise with the spectrum of a photograph, little colour, and a sensor's grain."""
    light = np.full((height, width), 128, np.float32)
    tint = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((4, 45), (16, 22), (64, 11), (256, 6)):
        coarse = chance.normal(0, strength, (cells, cells)).astype(np.float32)
        light += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        colour = chance.normal(0, strength / 4, (cells, cells, 3)).astype(np.float32)
        tint += cv2.resize(colour, (width, height), interpolation=cv2.INTER_CUBIC)
    tint += light[:, :, None]
    tint += chance.standard_normal((height, width, 3), dtype=np.float32) * 2
    picture: NDArray[np.uint8] = np.clip(tint, 0, 255).astype(np.uint8)
    return picture


def product_alpha(side: int) -> NDArray[np.uint8]:
    """A jar with a flat base on 40 % of the picture, its edge two pixels soft."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    distance = (np.abs(x / 0.31) ** 5 + np.abs((y - 0.05) / 0.36) ** 5) ** 0.2 - 1
    alpha: NDArray[np.uint8] = np.clip(127.5 - distance * 0.33 * side * 127.5, 0, 255).astype(
        np.uint8
    )
    return alpha


def reference(inputs: Inputs) -> NDArray[np.float32]:
    """The composite in floating point, without a JPEG of its own."""
    side = inputs.rgba.shape[0]
    scene = Image.open(io.BytesIO(inputs.background)).convert("RGB")
    scale = side / min(scene.size)
    edge = side / scale
    left, top = (scene.width - edge) / 2, (scene.height - edge) / 2
    if scale != 1:
        scene = scene.resize(
            (side, side), Image.Resampling.LANCZOS, (left, top, left + edge, top + edge)
        )
    share = inputs.rgba[:, :, 3:].astype(np.float32) / 255
    mixed = inputs.rgba[:, :, :3] * share + np.asarray(scene, np.float32) * (1 - share)
    return mixed.astype(np.float32)


def decibels(jpeg: bytes, expected: NDArray[np.float32]) -> float:
    """Peak signal-to-noise ratio of a composite without a shadow."""
    picture = np.asarray(Image.open(io.BytesIO(jpeg)), np.float32)
    if picture.shape != expected.shape:
        raise SystemExit(f"a composite is {picture.shape}, not {expected.shape}")
    error = float(np.mean((picture - expected) ** 2, dtype=np.float64))
    return 10.0 * float(np.log10(255**2 / error))


class Worker:
    """A Node process that composites with sharp."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "sharp_worker.mjs"), str(SHARP), str(THREADS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.versions: dict[str, str] = self._answer()

    def ask(self, request: dict[str, object]) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the sharp worker ended; its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


def installed_sharp() -> bool:
    """Install sharp if it is not there; whether it can be used."""
    if (SHARP / "node_modules" / "sharp").is_dir():
        return shutil.which("node") is not None
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("Node and npm are not installed: measuring without sharp.")
        return False
    SHARP.mkdir(parents=True, exist_ok=True)
    (SHARP / "package.json").write_text('{"private": true}\n')
    print("Installing sharp from npm ...", flush=True)
    try:
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--silent", "sharp@latest"],
            cwd=SHARP,
            check=True,
            timeout=180,
        )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"sharp could not be installed ({error}): measuring without it.")
        shutil.rmtree(SHARP, ignore_errors=True)
        return False
    return True


def measure(case: Case, rounds: int, worker: Worker | None) -> dict[str, Figures]:
    """Run every way in turn, round after round; then the peaks, each in a fresh process."""
    inputs = Inputs.of(case)
    expected = reference(inputs)
    folder = OUT / f"imaging-{case.cutout}-{case.background[0]}"
    folder.mkdir(parents=True, exist_ok=True)
    ours = inputs.ours()
    requests = inputs.sharps(folder)
    sharps = requests if worker else {}
    figures = {name: Figures() for name in (*sharps, *ours)}
    for number in range(rounds + 1):
        for name, request in sharps.items():
            assert worker is not None
            saved = folder / "sharp.jpg"
            answer = worker.ask({**request, "save": str(saved)} if number == 0 else request)
            if number == 0:  # the first round warms up, and is looked at
                check(figures[name], name, saved.read_bytes(), expected)
            else:
                figures[name].wall.append(answer["wall"])
                figures[name].cpu.append(answer["cpu"])
        for name, way in ours.items():
            cpu, wall = time.process_time(), time.perf_counter()
            jpeg = way()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if number == 0:
                check(figures[name], name, jpeg, expected)
            else:
                figures[name].wall.append(wall * 1e3)
                figures[name].cpu.append(cpu * 1e3)
    for name, figure in figures.items():
        figure.peak = peak_of_sharp(sharps[name]) if name in sharps else peak_of_ours(name, folder)
    return figures


def check(figures: Figures, name: str, jpeg: bytes, expected: NDArray[np.float32]) -> None:
    figures.size = len(jpeg)
    figures.decibels = decibels(jpeg, expected)
    # The frame header gives the first component's sampling 11 bytes after its marker.
    frame = jpeg.index(b"\xff\xc0")
    if jpeg[frame + 11] != 0x22:
        raise SystemExit(f"{name} wrote 4:4:4, the others 4:2:0: not comparable")


def peak_of_sharp(request: dict[str, object]) -> float:
    """MiB that one composite adds to a fresh Node process."""
    worker = Worker()
    peak = worker.ask(request)["peak"]
    worker.close()
    return peak


def peak_of_ours(name: str, folder: Path) -> float:
    """MiB that one composite adds to a fresh Python process."""
    command = [sys.executable, __file__, "--peak-of", name, str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(name: str, folder: Path) -> None:
    """Composite once, and print the MiB that it took."""
    own, foreign = (folder / "own.png").read_bytes(), (folder / "foreign.png").read_bytes()
    background = (folder / "scene.jpg").read_bytes()
    # A small one first, so that what is loaded or built only once does not count.
    tiny = CutoutPicture.from_rgba(np.full((64, 64, 4), 255, np.uint8))
    compose(tiny, encode_jpeg(np.zeros((64, 64, 3), np.uint8)), Scene(light=LUXURY))
    kept = None if name in (FOREIGN, STORED) else CutoutPicture.from_png(own)
    before = resident_kib("VmRSS")
    forget_peak()
    cutout = kept or CutoutPicture.from_png(foreign if name == FOREIGN else own)
    if name == EDGES:
        alpha = cutout.alpha.astype(np.float32) / 255
        cutout = replace(cutout, rgb=edge_colour(cutout.rgb, alpha))
    lights = {SHADOW: STUDIO, GLOSS: LUXURY, EDGES: STUDIO}
    made = compose(cutout, background, Scene(light=lights.get(name)))
    if name == PROOF:
        read_back(made.jpeg)
    print((resident_kib("VmHWM") - before) / 1024)


def forget_peak() -> None:
    """Start counting the peak of resident memory again (Linux; see proc_pid_clear_refs(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def resident_kib(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise SystemExit(f"this system does not tell {key}")


def cut_outs() -> list[str]:
    """The cost of the local cut-out, as lines of Markdown; each row in a fresh process."""
    lines = ["", f"## Local cut-out of {CUT_SIDE}×{CUT_SIDE}", ""]
    lines += [
        "| way | CPU s | with the gates, CPU s | peak MiB of the process |",
        "|---|---|---|---|",
    ]
    for name in CUT_OUTS:
        command = [sys.executable, __file__, "--cut-out", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, judged, peak = done.stdout.split()
        lines.append(f"| {name} | {float(seconds):.2f} | {float(judged):.2f} | {peak} |")
    return lines


def print_cut_out(name: str) -> None:
    """Cut out twice, and print the second's processor seconds, with the gates, and the peak."""
    doubtful, both = CUT_OUTS[name]
    models = HERE.parent / "build" / "models"
    small = CutoutModel(ensure_model(models))
    model, witness = (CutoutModel(ensure_large_model(models)), small) if both else (small, None)
    chance = np.random.default_rng(1)
    rgb = np.full((CUT_SIDE, CUT_SIDE, 3), 228, np.uint8)
    share = product_alpha(CUT_SIDE)[..., None].astype(np.float32) / 255
    product = photographic(CUT_SIDE, CUT_SIDE, chance) * np.array([0.9, 0.5, 0.3])
    ground = photographic(CUT_SIDE, CUT_SIDE, chance) if doubtful else rgb
    rgb = np.clip(product * share + ground * (1 - share), 0, 255).astype(np.uint8)
    photo = encode_jpeg(rgb)
    for _ in range(2):
        started = time.process_time()
        made = cut_out(_Doubted(model) if doubtful else model, rgb, witness)
        seconds = time.process_time() - started
        cutout = CutoutPicture.from_rgba(made.rgba)
        view = View.of(photo, cutout)
        check_cutout(DEFAULT_GATES, measure_cutout(view, cutout), found=1, opinion=None)
        seen_by_ground(view)
        judged = time.process_time() - started
    print(seconds, judged, resident_kib("VmHWM") // 1024)


class _Doubted(CutoutModel):
    """A network that does not see the lower half at its first look."""

    def __init__(self, model: CutoutModel) -> None:
        self._model, self._first = model, True

    def saliency(self, rgb: NDArray[np.uint8]) -> Saliency:
        seen = self._model.saliency(rgb)
        if self._first:
            self._first = False
            seen.map[160:] = 0
        return seen


def report(results: dict[str, dict[str, Figures]], versions: dict[str, str]) -> str:
    """The results as Markdown."""
    theirs = ", ".join(" ".join(pair) for pair in versions.items()) or "without sharp"
    ours = f"OpenCV {cv2.__version__}, Pillow {PIL.__version__}, Python {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end"
    meaning = (
        "Medians in ms, and the best wall time; MiB over what the process had; dB against the "
        "composite in floating point. Trust wall times only where the load is below the cores."
    )
    lines = ["# Compositing", "", f"{theirs}; {ours}; {THREADS} thread each; {load}.", "", meaning]
    for name, figures in results.items():
        lines += ["", f"## Cut-out / background {name}", ""]
        lines += ["| way | wall | best | CPU | × two steps, wall (CPU) | kB | dB | peak MiB |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for way, figure in figures.items():
            wall, cpu = statistics.median(figure.wall), statistics.median(figure.cpu)
            ratio = "–"
            if TWO_STEP in figures:
                by_wall, by_cpu = ratios(figures[TWO_STEP], figure)
                ratio = f"{by_wall:.1f} ({by_cpu:.1f})"
            quality = "–" if way in (SHADOW, GLOSS, EDGES) else f"{figure.decibels:.1f}"
            lines.append(
                f"| {way} | {wall:.0f} | {min(figure.wall):.0f} | {cpu:.0f} | {ratio} "
                f"| {figure.size // 1024} | {quality} | {figure.peak:.0f} |"
            )
        if TWO_STEP in figures:
            lines += ["", *verdicts(figures)]
    return "\n".join(lines) + "\n"


def verdicts(figures: dict[str, Figures]) -> list[str]:
    """How the targets were met."""
    lines = []
    for text, theirs, ours, target in TARGETS:
        by_wall, by_cpu = ratios(figures[theirs], figures[ours])
        wall, cpu = ("met" if ratio >= target else "NOT met" for ratio in (by_wall, by_cpu))
        lines.append(
            f"- {text}, target {target}×: {by_wall:.1f}× by wall clock, {wall}; "
            f"{by_cpu:.1f}× by processor time, {cpu}"
        )
    return lines


def ratios(theirs: Figures, ours: Figures) -> tuple[float, float]:
    """How many times as fast, by wall clock and by processor time."""
    return (
        statistics.median(theirs.wall) / statistics.median(ours.wall),
        statistics.median(theirs.cpu) / statistics.median(ours.cpu),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one size, few rounds")
    parser.add_argument("--rounds", type=int, help="of every way, after one to warm up")
    parser.add_argument("--peak-of", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--cut-out", choices=tuple(CUT_OUTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    cv2.setNumThreads(THREADS)
    if options.peak_of:
        print_peak(options.peak_of[0], Path(options.peak_of[1]))
        return
    if options.cut_out:
        print_cut_out(options.cut_out)
        return
    worker = Worker() if installed_sharp() else None
    results = {}
    for case in CASES[1:2] if options.quick else CASES:
        print(f"Measuring {case.name} ...", flush=True)
        rounds = options.rounds or (3 if case.cutout > 2048 else 5 if options.quick else 7)
        results[case.name] = measure(case, rounds, worker)
    text = report(results, worker.versions if worker else {})
    text += "\n".join(cut_outs()) + "\n"
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "imaging.md").write_text(text)
    print(text)
    if worker:
        worker.close()


if __name__ == "__main__":
    main()
