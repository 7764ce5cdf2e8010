"""The API as a process."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from contextlib import closing, suppress
from typing import Final, Literal

import uvicorn
from fastapi import FastAPI

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.logs import configure
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.runtime.configuration import secret_values
from photopipe_dagster.storage.factory import object_store

_log = logging.getLogger(__name__)

_FILES: Final = 65_536
_SHARE: Final = 4
"""One address may have a quarter of them."""

_NEW_OBJECTS: Final = 20_000
"""So many are made between two looks for garbage: a request makes some hundred, hardly any of them
in a cycle."""


def serve(settings: Settings) -> None:
    """Run the API on HOST and PORT until it is interrupted.

    Anyone who starts uvicorn otherwise gets logs without signed URLs too if the application is
    `photopipe_dagster.api.app:api_from_environment`.

    Raises:
        ConfigurationError: The settings cannot work; says which variable to set.
    """
    configure(settings, secret_values(settings))
    with closing(Ledger.open(settings)) as ledger:
        app = create_app(settings, ledger, object_store(settings))
        if settings.api_auth == "auto" and not settings.production:
            _log.info("The API asks for no token on this machine until the first one is made.")
        _look_less_for_garbage()
        uvicorn.Server(server_config(app, settings)).run()


def _look_less_for_garbage() -> None:
    """Tune the garbage collector for a server; as it comes, it takes a sixth of a webhook's time.

    What there is by now lives as long as the process: it is not looked at any more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs the API; logging is left as it is."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=_http_protocol(),
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


def _http_protocol() -> type[asyncio.Protocol] | Literal["auto"]:
    if sys.platform == "win32":
        return "auto"  # httptools, which the deadlines are for, is not there
    from photopipe_dagster.api.prompt_http import PromptHttpProtocol

    PromptHttpProtocol.unfinished_per_address = _files() // _SHARE
    return PromptHttpProtocol


def _files() -> int:
    """How many files this process may have, after it asked for more: each connection is one.

    Where a shell permits 1,024, it permits many more to who asks.
    """
    import resource

    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(most, _FILES)
    if files == resource.RLIM_INFINITY or files >= wanted:
        return _FILES
    with suppress(ValueError, OSError):  # macOS says "no limit" and has one
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        return wanted
    return files
