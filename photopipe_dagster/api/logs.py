"""Logs without secrets: the query of a URL is where signatures live."""

from __future__ import annotations

import logging
from typing import Any, Final

_TALKATIVE: Final = ("httpx", "httpcore")
"""They log the full URL of each request."""


class WithoutQuery(logging.Filter):
    """Cuts the query off the path in records of uvicorn's access log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        # uvicorn's arguments: client, method, path with query, HTTP version, status.
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, str(path).partition("?")[0], version, status)
        return True


def keep_urls_out_of_logs() -> None:
    """Make the logs of this process safe, however it was started."""
    access = logging.getLogger("uvicorn.access")
    if not any(isinstance(each, WithoutQuery) for each in access.filters):
        access.addFilter(WithoutQuery())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_config(level: str) -> dict[str, Any]:
    """Configuration of `logging.config.dictConfig` for a server: one line an event, to stderr.

    Args:
        level: Of our own loggers; as in LOG_LEVEL.
    """
    ours = {"level": level.upper(), "handlers": ["stderr"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "filters": {"without_query": {"()": WithoutQuery}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {
            "photopipe_dagster": ours,
            "uvicorn": ours,
            "uvicorn.access": {**ours, "filters": ["without_query"]},
        }
        | {name: {"level": "WARNING"} for name in _TALKATIVE},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
    }
