"""Logs without secrets: the query of a URL is where signatures live."""

from __future__ import annotations

import logging

from photopipe_dagster.core.logs import TALKATIVE


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
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
