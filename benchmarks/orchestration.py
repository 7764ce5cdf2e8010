"""What Dagster, the ledger, HTTP and storage cost a photo: one run for all beside one run each.

All shapes take the same photos through the same stages over stand-ins without latency, which run
in a process of their own. The first two shapes execute in one warm process; the third starts a
process for each run, as Dagster's default launcher does (a few photos only: each costs the same).
Imaging is measured by its own threads' CPU time and taken out.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

PROCESS_PHOTOS = 5
"""Photos of the shape that starts a process for each."""

HERE = Path(__file__).resolve()
IMAGING = {
    "original": ("inspect", "thumbnail_data_uri"),
    "mask": ("_normalise", "thumbnail_data_uri"),
    "background": ("_as_jpeg", "thumbnail_data_uri"),
    "composite": ("compose", "thumbnail_data_uri"),
}
SHAPES = {
    "batch": "one run of all",
    "single": "one run each, in one process",
    "process": "one run each, a process each",
}


def main() -> None:
    """Measure all shapes in fresh processes and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="12 photos only")
    parser.add_argument("--worker", choices=SHAPES, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    photos = 12 if options.quick else options.photos
    if options.worker:
        print(json.dumps(work(options.worker, photos, options.first)))
        return
    table = Table(
        "Shape",
        "Wall s",
        "CPU s",
        "imaging",
        "the rest",
        "Ratio",
        title=f"{photos} photos (240 px), stand-ins without latency, SQLite; seconds a photo",
    )
    base = 0.0
    for shape, name in SHAPES.items():
        counted = min(photos, PROCESS_PHOTOS) if shape == "process" else photos
        each = {part: value / counted for part, value in measure(shape, counted).items()}
        base = base or each["orchestration"]
        table.add_row(
            name,
            f"{each['wall']:.2f}",
            f"{each['cpu']:.3f}",
            f"{each['imaging']:.3f}",
            f"{each['orchestration']:.3f}",
            f"{each['orchestration'] / base:.1f}×",
        )
    Console().print(table)


def measure(shape: str, photos: int) -> dict[str, float]:
    """One shape, with stand-ins, store, ledger and Dagster instance of its own."""
    with tempfile.TemporaryDirectory() as folder, stand_ins(Path(folder)) as environment:
        if shape != "process":
            return worker(shape, photos, environment)
        each = [worker(shape, 1, environment, first=number) for number in range(photos)]
        return {part: sum(one[part] for one in each) for part in each[0]}


def worker(
    shape: str, photos: int, environment: dict[str, str], first: int = 0
) -> dict[str, float]:
    """Let a fresh process do it."""
    command = [sys.executable, "-m", "benchmarks.orchestration", "--worker", shape]
    command += ["--photos", str(photos), "--first", str(first)]
    started = time.perf_counter()
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=HERE.parents[1]
    )
    if done.returncode != 0:
        raise SystemExit(f"The {shape} run failed:\n{done.stderr[-4000:]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if shape == "process":
        measured["wall"] = time.perf_counter() - started
    return measured


def work(shape: str, photos: int, first: int) -> dict[str, float]:
    """Take photos through all stages in this process, and say what it took."""
    import dagster as dg

    from photopipe_dagster.definitions import defs
    from photopipe_dagster.photo import PhotoKey
    from photopipe_dagster.sensors import RANGE_END, RANGE_START
    from photopipe_dagster.services import shared_ledger
    from photopipe_dagster.settings import Settings
    from photopipe_dagster_tests.world import photo_of_a_mug

    settings = Settings()
    ledger = shared_ledger(settings)
    keys = []
    with httpx.Client(base_url=os.environ["SANDBOX"]) as sandbox:
        for number in range(first, first + photos + (shape != "process")):
            sku = f"SKU-{number}"
            sandbox.post("/_sandbox/shopify/products", json={"title": sku, "skus": [sku]})
            files = {"file": ("photo.jpg", photo_of_a_mug(number), "image/jpeg")}
            answer = sandbox.post("/_sandbox/threejms/photos", data={"sku": sku}, files=files)
            photo = answer.raise_for_status().json()
            keys.append(PhotoKey(sku, photo["sha256"], "default"))
            ledger.jobs.submit(keys[-1], "webhook", image_url=photo["url"])
    instance = dg.DagsterInstance.get()
    names = [key.partition_key for key in keys]
    instance.add_dynamic_partitions("photos", names)
    job = defs.resolve_job_def("photos")
    if shape != "process":
        warm_up = names.pop(0)
        if not job.execute_in_process(instance=instance, partition_key=warm_up).success:
            raise SystemExit("the photo to warm up with failed")
    imaging = count_imaging()
    # A process of its own pays for its start too: all its CPU time counts.
    wall, cpu = time.perf_counter(), 0.0 if shape == "process" else time.process_time()
    if shape == "batch":
        tags = {RANGE_START: names[0], RANGE_END: names[-1]}
        results = [job.execute_in_process(instance=instance, tags=tags)]
    else:
        results = [job.execute_in_process(instance=instance, partition_key=name) for name in names]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if not all(result.success for result in results):
        raise SystemExit("a photo failed")
    spent = imaging()
    return {"wall": wall, "cpu": cpu, "imaging": spent, "orchestration": cpu - spent}


def count_imaging() -> Callable[[], float]:
    """Count the CPU seconds of the stages' imaging from here on."""
    import importlib

    spent: list[float] = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent.append(time.thread_time() - started)

        return call

    for stage, names in IMAGING.items():
        module = importlib.import_module(f"photopipe_dagster.assets.{stage}")
        for name in names:
            setattr(module, name, counted(getattr(module, name)))
    return lambda: sum(spent)


@contextmanager
def stand_ins(folder: Path) -> Iterator[dict[str, str]]:
    """The stand-ins and the API in processes of their own; yields the environment for them."""
    sandbox_port, api_port = free_port(), free_port()
    sandbox = f"http://127.0.0.1:{sandbox_port}"
    home = folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text((HERE.parents[1] / "dagster.yaml").read_text())
    environment = os.environ | {
        "SANDBOX": sandbox,
        "DAGSTER_HOME": str(home),
        "DATA_DIR": str(folder / "data"),
        "PORT": str(api_port),
        "AI_PROVIDER": "freepik",
        "FREEPIK_API_URL": f"{sandbox}/freepik",
        "FREEPIK_API_KEY": "sandbox-freepik-key",
        "FREEPIK_REQUESTS_PER_MINUTE": "600000",
        "FREEPIK_POLL_SECONDS": "0.01",
        "SHOPIFY_STORE": f"{sandbox}/shopify",
        "SHOPIFY_ACCESS_TOKEN": "sandbox-shopify-token",
        "SHOPIFY_POLL_SECONDS": "0.01",
        "IMAGE_URL_ALLOWED_HOSTS": f"127.0.0.1:{sandbox_port}",
    }
    programs = [("sandbox", "--port", str(sandbox_port)), ("api",)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "photopipe_dagster", *program],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for program in programs
    ]
    try:
        wait_for(f"{sandbox}/_sandbox/state")
        wait_for(f"http://127.0.0.1:{api_port}/health/live")
        # Without latency, and without Shopify's cost limit: only our own work is measured.
        yield environment
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


def wait_for(url: str) -> None:
    """Wait until a server answers."""
    for _ in range(300):
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"{url} did not come up")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
