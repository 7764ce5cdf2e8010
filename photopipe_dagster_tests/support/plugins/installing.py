"""The three packages, installed as pip does it, and seen by this process or another one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from photopipe_dagster.runtime.configuration import REGISTRIES

HERE = Path(__file__).parent
PACKAGES = ("acme_cutouts", "acme_shelf", "acme_shop")


def install(folder: Path) -> Path:
    """Install the packages, without a network; where to.

    Args:
        folder: Empty.
    """
    for package in PACKAGES:  # pip leaves what it builds beside the sources
        shutil.copytree(HERE / package, folder / "sources" / package)
    target = folder / "site"
    how = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--no-compile")
    sources = [str(folder / "sources" / package) for package in PACKAGES]
    command = [sys.executable, "-m", "pip", "install", *how, "--target", str(target), *sources]
    subprocess.run(command, check=True, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    return target


@contextmanager
def seen(site: Path) -> Iterator[None]:
    """As if this process had been started with what is installed there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        for registry in REGISTRIES:
            patch.setattr(registry, "_made", {})
            patch.delitem(vars(registry), "_found", raising=False)
        yield
        for registry in REGISTRIES:
            vars(registry).pop("_found", None)
