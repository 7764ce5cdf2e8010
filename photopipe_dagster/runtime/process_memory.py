"""How the process of a run treats its memory: set once, before its first photo."""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache
from typing import Final

_M_ARENA_MAX: Final = -8
"""mallopt(3)."""

_ARENAS: Final = 2


@cache
def settle() -> None:
    """Leave modules alone, and give freed pictures back to all threads.

    The garbage collector looked at all that was imported again and again: a sixth of what a run
    cost. And glibc keeps what a thread has freed for that thread: a quarter of the memory of a run
    of large photos, as each step of a photo is in another one.
    """
    gc.freeze()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # glibc's; others have none, and no need of it
            libc.mallopt(_M_ARENA_MAX, _ARENAS)
