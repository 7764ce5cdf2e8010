"""Run all benchmarks, or those named: `python -m benchmarks throughput --photos 20`."""

from __future__ import annotations

import subprocess
import sys

ALL = (
    "throughput",
    "whole_stack",
    "cutout",
    "gates",
    "imaging",
    "chaos",
    "refusing_shops",
    "api",
    "scale",
    "retention",
    "decoding_fuzz",
    "half_open",
)


def main() -> int:
    """Run each benchmark in a process of its own; returns how many failed."""
    names = sys.argv[1:2] if sys.argv[1:] and sys.argv[1] in ALL else ALL
    options = sys.argv[2:] if len(names) == 1 else sys.argv[1:]
    failed = 0
    for name in names:
        print(f"\n=== {name} ===", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options]).returncode != 0
        )
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
