"""No damaged picture is taken for a good one, and none costs much.

    python -m benchmarks.decoding_fuzz                  1,000 files, some seconds
    python -m benchmarks.decoding_fuzz --files 10000    as before a release, a minute

Files are mutated JPEGs, PNGs and WebPs. Each is decoded by Photopipe, then by OpenCV, and what
libjpeg and libpng print meanwhile is the judge: a file must not be accepted of whose picture they
complain. A complaint does not count where the picture is what it was before the mutation.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from PIL import Image

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.imaging.decode import decode_rgb

MAX_SECONDS: Final = 2.0
MAX_MEGABYTES: Final = 500

_COMPLAINT = re.compile(r"Corrupt JPEG data|Premature end of JPEG|libpng error")
_KILOBYTES_IN_MEGABYTE: Final = 1024 if sys.platform != "darwin" else 1024 * 1024

Mutation = Callable[[bytes, np.random.Generator], bytes]


@dataclass
class Findings:
    """What came of all files.

    Args:
        files: How many were tried.
        outcomes: How many of each: its format, accepted or refused, and what the judge said.
        faults: A file that was accepted though damaged, took too long or too much memory, or
            raised what callers do not expect: its number and why.
        slowest: Seconds of processor time.
        megabytes: By which the process has grown at most.
    """

    files: int = 0
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    megabytes: float = 0.0


def seeds() -> dict[str, bytes]:
    """Good files, by their kind."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:144, :200]
    smooth = np.dstack((x * 255 // 200, y * 255 // 144, (x + 2 * y) * 255 // 488)).astype(float)
    smooth[40:100, 60:140] = (150, 40, 60)
    rgb = Image.fromarray(np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray((x + y).clip(0, 255).astype(np.uint8)))

    def written(image: Image.Image, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return {
        "JPEG": written(rgb, "JPEG", quality=90),
        "JPEG, optimised": written(rgb, "JPEG", quality=90, optimize=True),
        "JPEG, progressive": written(rgb, "JPEG", quality=90, progressive=True),
        "JPEG, restarts": written(rgb, "JPEG", quality=85, restart_marker_blocks=5),
        "JPEG, grey": written(rgb.convert("L"), "JPEG", quality=90),
        "JPEG, CMYK": written(rgb.convert("CMYK"), "JPEG", quality=90),
        "PNG": written(rgb, "PNG"),
        "PNG, alpha": written(rgba, "PNG"),
        "PNG, palette": written(rgb.quantize(64), "PNG"),
        "PNG, grey": written(rgb.convert("L"), "PNG"),
        "WEBP": written(rgb, "WEBP", quality=85),
        "WEBP, alpha": written(rgba, "WEBP", quality=85),
        "WEBP, lossless": written(rgb, "WEBP", lossless=True),
    }


def _place(data: bytes, rng: np.random.Generator) -> int:
    return int(rng.integers(2, len(data) - 2))


def flip_bit(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit, anywhere."""
    place = _place(data, rng)
    return data[:place] + bytes((data[place] ^ 1 << int(rng.integers(8)),)) + data[place + 1 :]


def set_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bytes, anywhere."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        changed[_place(data, rng)] = rng.integers(256)
    return bytes(changed)


def set_header(data: bytes, rng: np.random.Generator) -> bytes:
    """A byte of the first ones: sizes, tables and lengths."""
    place = int(rng.integers(2, min(700, len(data))))
    return data[:place] + bytes((int(rng.integers(256)),)) + data[place + 1 :]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: _place(data, rng)]


def cut_but_for_the_end(data: bytes, rng: np.random.Generator) -> bytes:
    """A part before the last bytes is missing."""
    return data[: _place(data, rng)] + data[-12:]


def remove(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes are missing."""
    place = _place(data, rng)
    return data[:place] + data[place + int(rng.integers(1, 400)) :]


def blank(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes are zero, as of a sector that was never written."""
    place, length = _place(data, rng), int(rng.integers(1, 400))
    return data[:place] + bytes(length) + data[place + length :]


def repeat(data: bytes, rng: np.random.Generator) -> bytes:
    """A part comes twice."""
    place, length = _place(data, rng), int(rng.integers(1, 400))
    return data[: place + length] + data[place:]


def mend_checksums(data: bytes, rng: np.random.Generator) -> bytes:
    """A byte in a chunk of a PNG, with the chunk's checksum made right again."""
    if not data.startswith(b"\x89PNG"):
        return flip_bit(data, rng)
    place, chunks = 8, []
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    chosen = int(rng.integers(len(chunks)))
    kind, body = chunks[chosen]
    if body:
        chunks[chosen] = (kind, set_bytes(body, rng) if len(body) > 8 else body[::-1])
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


MUTATIONS: Final[tuple[Mutation, ...]] = (
    flip_bit,
    flip_bit,
    set_bytes,
    set_header,
    cut,
    cut_but_for_the_end,
    remove,
    blank,
    repeat,
    mend_checksums,
)


def fuzz(files: int, *, seed: int = 1) -> Findings:
    """Decode mutated files, and compare with what the libraries say of them."""
    rng, findings, good = np.random.default_rng(seed), Findings(), seeds()
    names = list(good)
    pictures = {name: looked_at(data)[0] for name, data in good.items()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(files):
        name = names[number % len(names)]
        mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
        data = mutation(good[name], rng)
        label = f"file {number} ({name}, {mutation.__name__})"
        started, accepted = time.process_time(), "refused"
        try:
            decode_rgb(data)
            accepted = "accepted"
        except PhotoRejectedError:
            pass
        except Exception as error:
            findings.faults.append(f"{label} raised {type(error).__name__}: {error}")
        seconds = time.process_time() - started
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        findings.megabytes = max(findings.megabytes, grown / _KILOBYTES_IN_MEGABYTE)
        findings.slowest = max(findings.slowest, seconds)
        if seconds > MAX_SECONDS:
            findings.faults.append(f"{label} took {seconds:.1f} s")
        if findings.megabytes > MAX_MEGABYTES:
            findings.faults.append(f"{label} took {findings.megabytes:.0f} MB")
            return findings
        # Of what was refused, the judge is asked for the figures only, and it is not so careful
        # with headers that promise too much.
        judged = _judgement(data, pictures[name]) if accepted == "accepted" else "not asked"
        findings.outcomes[name.split(",")[0], accepted, judged] += 1
        if judged == "damaged":
            findings.faults.append(f"{label} was accepted")
        findings.files += 1
    return findings


def _judgement(data: bytes, original: np.ndarray | None) -> str:
    picture, said = looked_at(data)
    if original is not None and picture is not None and np.array_equal(picture, original):
        return "as it was"
    if picture is None or _COMPLAINT.search(said):
        return "damaged"
    return "changed, without a complaint"


def looked_at(data: bytes) -> tuple[np.ndarray | None, str]:
    """The picture as OpenCV decodes it, and what libjpeg and libpng print meanwhile."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            picture = cv2.imdecode(
                np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
            )
        except cv2.error:
            picture = None
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        printed.seek(0)
        return picture, printed.read().decode(errors="replace")


def main() -> int:
    """Print the findings; 1 where there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    findings = fuzz(arguments.files, seed=arguments.seed)
    for (kind, accepted, judged), count in sorted(findings.outcomes.items()):
        print(f"{kind:5} {accepted:9} {judged:30} {count:6}")
    print(
        f"{findings.files} files; slowest {findings.slowest:.2f} s, "
        f"memory grown by {findings.megabytes:.0f} MB, {len(findings.faults)} faults"
    )
    print(*findings.faults, sep="\n")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
