"""Keeps signatures out of the HTTP client's log.

httpx writes every request at level INFO with its whole URL (`httpx/_client.py`, "HTTP Request:"),
query included; presigned and signed URLs are secrets, and Dagster may be told to keep its log.
"""

from __future__ import annotations

import logging

import httpx

from photopipe_dagster.http import public


class _PublicUrls(logging.Filter):
    """Shortens the URLs among a record's arguments to what can be shown."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                public(value) if isinstance(value, httpx.URL) else value for value in record.args
            )
        return True


_FILTER = _PublicUrls()


def hide_queries() -> None:
    """Make httpx log URLs without user, query and fragment. Calling it again changes nothing."""
    logging.getLogger("httpx").addFilter(_FILTER)
