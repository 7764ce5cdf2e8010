"""The sources of photos that this installation has."""

from __future__ import annotations

from typing import Final

from photopipe_dagster import sources
from photopipe_dagster.core.plugins import Registry
from photopipe_dagster.sources.base import SourcePlugin

SOURCES: Final = Registry[SourcePlugin]("source", sources, "photopipe.sources")
