import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def log_levels_stay_as_they_were() -> Iterator[None]:
    """The API turns HTTP clients' logs down for its process; other tests listen to them."""
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
