"""The processes that `benchmarks.throughput` measures: what dispatches photos, and what runs them.

A run takes the CPU time of its parts down by their threads: Dagster has the main thread, whatever
blocks goes through `asyncio.to_thread`, and is told by the module that it comes from; what is left
is the event loop with its HTTP.
"""

from __future__ import annotations

import asyncio
import functools
import io
import json
import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import httpx
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

IMAGING: Final = "imaging"
START: Final = "start"
DAGSTER: Final = "Dagster"
HTTP: Final = "HTTP, loop"

_PARTS: Final = {
    "photopipe_dagster.ledger": "ledger",
    "photopipe_dagster.runtime.circuit_breaker": "ledger",
    "photopipe_dagster.pipeline.stages.shopify_media": "ledger",
    "photopipe_dagster.storage": "storage",
    "photopipe_dagster.pipeline.stages.pictures": "storage",
}
"""What a blocking function of a module is; of all others, imaging."""

PARTS: Final = (START, DAGSTER, "ledger", "storage", HTTP, IMAGING)


def main() -> None:
    """Do what the arguments say; prints one line of JSON at the end."""
    command, *arguments = sys.argv[1:]
    work = {"dispatch": dispatch, "run": run}[command]
    print(json.dumps(work(*arguments)))


def dispatch(photos: str, side: str, most: str = "") -> list[dict[str, Any]]:
    """Announce photos, and let the sensor ask for runs of them.

    Args:
        photos: How many.
        side: Of each, pixels.
        most: To a run; as many as is usual where it is empty.

    Returns:
        Of each run: ``partition`` or ``None``, and ``tags``.
    """
    from photopipe_dagster.core.photo import PhotoKey
    from photopipe_dagster.core.settings import Settings
    from photopipe_dagster.defs.resources import PhotopipeResource
    from photopipe_dagster.runtime.services import shared_ledger
    from photopipe_dagster_tests.support.dispatching import tick

    if most:
        os.environ["PHOTOS_PER_RUN"] = most
    ledger = shared_ledger(Settings())
    paint = photographer(int(side))
    with httpx.Client(base_url=os.environ["SANDBOX"], timeout=60) as sandbox:
        for number in range(int(photos)):
            sku = f"SKU-{number}"
            sandbox.post("/_sandbox/shopify/products", json={"title": sku, "skus": [sku]})
            files = {"file": ("photo.jpg", paint(number), "image/jpeg")}
            answer = sandbox.post("/_sandbox/threejms/photos", data={"sku": sku}, files=files)
            photo = answer.raise_for_status().json()
            key = PhotoKey(sku, photo["sha256"], "default")
            ledger.intake.submit(key, "webhook", image_url=photo["url"])

    import dagster as dg

    requests = tick(dg.DagsterInstance.get(), PhotopipeResource())
    return [{"partition": each.partition_key, "tags": dict(each.tags)} for each in requests]


def photographer(side: int) -> Callable[[int], bytes]:
    """Takes photos of a woven box on plain paper, of another colour for each number.

    Args:
        side: Width and height in pixels.

    Returns:
        A function of a number that returns a JPEG.
    """
    rng = np.random.default_rng(7)
    paper = np.clip(rng.normal(238, 1.2, (side, side, 3)), 0, 255).astype(np.uint8)
    weave = np.add.outer(np.arange(side) // 9 % 2, np.arange(side) // 9 % 2) * 18.0
    cloth = weave[..., None] + rng.normal(0, 9, (side, side, 1))
    shape = Image.new("L", (side, side))
    box = (side * 5 // 20, side * 6 // 20, side * 15 // 20, side * 16 // 20)
    ImageDraw.Draw(shape).rounded_rectangle(box, side // 20, fill=255)
    shape = shape.filter(ImageFilter.GaussianBlur(0.7))

    def take(number: int) -> bytes:
        colour = np.random.default_rng(number).integers(30, 120, 3)
        photo = Image.fromarray(paper)
        product = np.clip(cloth + colour, 0, 255).astype(np.uint8)
        photo.paste(Image.fromarray(product), mask=shape)
        out = io.BytesIO()
        photo.save(out, "JPEG", quality=92)
        return out.getvalue()

    return take


def run(request: str) -> dict[str, float]:
    """Execute one run as the process that Dagster's launcher starts would, and count its CPU.

    Args:
        request: One of what `dispatch` returned, as JSON.

    Returns:
        CPU seconds by part, and ``rss``, the most memory that the process took, in MB.
    """
    import dagster as dg

    from photopipe_dagster.definitions import defs

    asked = json.loads(request)
    spent = count_blocking()
    instance = dg.DagsterInstance.get()
    job = defs.resolve_job_def("photos")
    spent[START] = time.process_time()
    began = time.thread_time()
    result = job.execute_in_process(
        instance=instance,
        partition_key=asked["partition"],
        tags=asked["tags"],
        raise_on_error=False,
    )
    spent[DAGSTER] = time.thread_time() - began
    if not result.success:
        raise SystemExit("a run failed")
    spent[HTTP] = time.process_time() - sum(spent.values())
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**spent, "rss": kibibytes / 1024 * (1 if sys.platform == "linux" else 1 / 1024)}


def count_blocking() -> Counter[str]:
    """Count the CPU seconds of what `asyncio.to_thread` calls from here on, by part."""
    spent: Counter[str] = Counter()
    lock = threading.Lock()
    to_thread = asyncio.to_thread

    async def counted(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        part = part_of(function)

        def call() -> Any:
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                with lock:
                    spent[part] += time.thread_time() - began

        return await to_thread(call)

    asyncio.to_thread = counted  # type: ignore[assignment]
    return spent


def part_of(function: Callable[..., Any]) -> str:
    """Which part a blocking function belongs to."""
    while isinstance(function, functools.partial):
        function = function.func
    module = getattr(function, "__module__", "") or ""
    return next((part for start, part in _PARTS.items() if module.startswith(start)), IMAGING)


if __name__ == "__main__":
    main()
