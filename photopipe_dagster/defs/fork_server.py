"""A process that has loaded the code, and forks one for each run.

    python -m photopipe_dagster.defs.fork_server FOLDER

Reads a line a run: its id, and the arguments of `dagster api execute_run`, as all launchers but
Dagster's default one use them. Answers each with a line, once the process is there: empty, or what
went wrong. Ends with its standard input; the runs go on.

The process of a run keeps a lock on FOLDER/ID, which has its process id, for as long as it lives.
Only a run that has come to its end removes the file.
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from itertools import chain
from pathlib import Path
from pkgutil import walk_packages
from typing import BinaryIO, Final, NoReturn

from PIL import Image
from pydantic import ValidationError

from photopipe_dagster.core.errors import ConfigurationError

PACKAGE: Final = Path(__file__).resolve().parents[1]

_LATE: Final = ("providers", "targets", "publishing", "shopify")
"""Rooms whose modules are imported where they are first used: in each run."""

_KEPT_SECONDS: Final = 7 * 24 * 3600
"""How long the file of a run that died is kept."""


def main() -> None:
    """Serve until standard input ends."""
    folder = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what runs print
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: standard input ends
    load()
    modules = [str(module.__file__) for module in sys.modules.values() if _is_a_file(module)]
    loaded = changes(modules)
    clear(folder)
    signal.signal(signal.SIGCHLD, _collect)
    request = sys.argv[2].encode() if sys.argv[2:] else sys.stdin.buffer.readline()
    while request:
        if changes(modules) != loaded:
            os.dup2(answers.fileno(), 1)
            program = [sys.executable, "-m", "photopipe_dagster.defs.fork_server", str(folder)]
            os.execv(sys.executable, [*program, request.decode()])  # noqa: S606  # no shell: meant
        run_id, _, arguments = request.decode().rstrip("\n").partition(" ")
        try:
            start(folder / run_id, arguments, answers)
        except OSError as error:
            answers.write(f"{error}\n".encode())
        else:
            answers.write(b"\n")
        request = sys.stdin.buffer.readline()


def load() -> None:
    """Import what runs need, also what they import late, and build what they all build."""
    from photopipe_dagster.definitions import defs
    from photopipe_dagster.defs.resources import PhotopipeResource
    from photopipe_dagster.net.client import tls

    import_module("dagster._cli.api")
    for room in _LATE:
        package = import_module(f"photopipe_dagster.{room}")
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    Image.init()
    defs.get_repository_def()
    tls()
    with suppress(ConfigurationError, ValidationError):  # the run says what is wrong
        _ = PhotopipeResource().settings
    gc.collect()
    gc.freeze()  # or collecting in a run would copy all that is shared


def changes(modules: Iterable[str]) -> dict[Path, int]:
    """When each file that was loaded has changed, in ns: an engineer edits them.

    Args:
        modules: Files; those of the package are looked at anyway.
    """
    ours = (path for path in PACKAGE.rglob("*") if path.suffix != ".pyc")
    when = {}
    for path in chain(map(Path, modules), ours):
        with suppress(OSError):
            if path.is_file():
                when[path] = path.stat().st_mtime_ns
    return when


def _is_a_file(module: object) -> bool:
    return isinstance(getattr(module, "__file__", None), str)


def clear(folder: Path) -> None:
    """Remove what runs that died long ago have left."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        old = path.stat().st_mtime < time.time() - _KEPT_SECONDS
        if old and process_of(path) is None:
            path.unlink(missing_ok=True)


def start(path: Path, arguments: str, answers: BinaryIO) -> None:
    """Fork a process for a run, unless it has one.

    Args:
        path: Locked for as long as the process lives.
        answers: Closed in the process.
    """
    with path.open("ab", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        sys.stderr.flush()
        process = os.fork()
        if process == 0:
            answers.close()
            _run(path, arguments)
        file.truncate(0)
        file.write(str(process).encode())


def process_of(path: Path) -> int | None:
    """The process id of a run, if its process lives.

    Raises:
        FileNotFoundError: The run has come to its end, or somebody else has started it.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0) or None
    return None


def _run(path: Path, arguments: str) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from dagster._cli import cli

        cli(["api", "execute_run", arguments], standalone_mode=False)
        path.unlink(missing_ok=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # nothing is left to be done: taking all apart would copy it first


def _collect(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main()
