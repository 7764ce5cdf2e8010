"""Logs: one line an event, as text or as JSON, with the photo that it is about and no secrets.

The job's id is what ties the lines of a photo together, from the webhook to the shop: it is in the
answer to the webhook, in every line that is logged while something is done for the photo, in the
metadata of Dagster's events, and in the ledger.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings

TALKATIVE: Final = ("httpx", "httpcore", "botocore", "boto3", "s3transfer", "urllib3")
"""They log requests with their whole URLs."""

_QUERY: Final = re.compile(r"((?:https?:/)?/[^\s?#\"'<>]*)\?[^\s\"'<>]+")
"""The query of a URL, or of a path in an access log, is where signatures live."""

_USER: Final = re.compile(r"(\w+://)[^\s/@\"'<>]+@")
"""User and password of a URL."""

_SHORTEST_SECRET: Final = 6
"""A shorter one would black out innocent words."""

_photo: ContextVar[dict[str, str] | None] = ContextVar("photo", default=None)


@contextmanager
def about(key: PhotoKey, **more: str) -> Iterator[None]:
    """Every line that is logged in here, and in tasks that start in here, names the photo.

    Args:
        more: Further fields, such as the run.
    """
    fields = {"job": key.job_id, "sku": key.sku, "theme": key.theme, **more}
    token = _photo.set(fields)
    try:
        yield
    finally:
        _photo.reset(token)


class Redaction:
    """Takes secrets out of text.

    Args:
        secrets: Values that must never be shown.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted(
            {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True
        )
        self._known = re.compile("|".join(re.escape(secret) for secret in known)) if known else None

    def __call__(self, text: str) -> str:
        """The text without secrets, users and queries of URLs."""
        text = _QUERY.sub(r"\1?…", text)
        text = _USER.sub(r"\1…@", text)
        return self._known.sub("…", text) if self._known else text


class TextFormatter(logging.Formatter):
    """A line for people: time, level, logger, photo, message."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redaction

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a stack trace below it where there is one."""
        line = super().format(record)
        photo = _photo.get()
        return self._redact(line if photo is None else f"{line} [job {photo['job']}]")


class JsonFormatter(logging.Formatter):
    """A JSON object for machines: ``time``, ``level``, ``logger``, ``message``, and the photo."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redact = redaction

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        event: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
            **(_photo.get() or {}),
        }
        if record.exc_info:
            event["exception"] = self._redact("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(event, ensure_ascii=False)


def configure(settings: Settings, secrets: Iterable[str]) -> None:
    """Set up this process's logs: ours at LOG_LEVEL, everybody else's warnings, to stderr.

    Handlers that somebody else has set up stay. Calling it again changes what this one does.

    Args:
        secrets: Values that must never be logged.
    """
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _ToStderr)]:
        root.removeHandler(handler)
    formatter = JsonFormatter if settings.logs_as_json else TextFormatter
    ours = _ToStderr()
    ours.setFormatter(formatter(Redaction(secrets)))
    root.addHandler(ours)
    for name in ("photopipe_dagster", "uvicorn"):
        logging.getLogger(name).setLevel(settings.log_level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class _ToStderr(logging.Handler):
    """Writes to what is standard error at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)
