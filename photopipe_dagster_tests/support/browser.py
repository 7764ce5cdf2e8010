"""A Chromium to test pages with: the machine's own."""

from __future__ import annotations

import os
import shutil

VARIABLE = "PHOTOPIPE_CHROMIUM"

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """The program that PHOTOPIPE_CHROMIUM names, or the first on the path; ``None``: there is none.

    Raises:
        FileNotFoundError: PHOTOPIPE_CHROMIUM names what is not there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if shutil.which(named) is None:
            raise FileNotFoundError(f"{VARIABLE} is {named}, which is no program.")
        return named
    return next((found for name in _NAMES if (found := shutil.which(name))), None)
