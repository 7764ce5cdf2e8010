"""The sources of photos that this installation has."""

from __future__ import annotations

from typing import Final

from photopipe_dagster import sources
from photopipe_dagster.core.plugins import Registry
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import SourcePlugin

SOURCES: Final = Registry[SourcePlugin]("source", sources, "photopipe.sources")


def sources_in_use(settings: Settings) -> tuple[SourcePlugin, ...]:
    """Those that the setting SOURCES names; all where it is empty.

    Raises:
        ConfigurationError: It names one that is not installed.
    """
    names = settings.sources or SOURCES.names
    return tuple(SOURCES.get(name, setting="SOURCES") for name in names)
