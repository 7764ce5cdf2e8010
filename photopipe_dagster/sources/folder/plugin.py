"""A folder among the sources of photos."""

from __future__ import annotations

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.sources.base import Polling, Schedule, SourceContext, SourcePlugin
from photopipe_dagster.sources.folder.settings import FolderSettings
from photopipe_dagster.sources.folder.source import SCHEME, FolderSource


class Plugin(SourcePlugin):
    """A folder; every file in it is listed until it is taken."""

    name = "folder"
    title = "the folder"
    settings = FolderSettings
    schemes = frozenset({SCHEME})
    polling = Polling(sensor="folder_poll", watermark="folder", arrives_by="folder")

    def open(self, context: SourceContext) -> FolderSource:
        """The folder FOLDER_SOURCE."""
        return FolderSource(context.settings)

    def schedule(self, settings: Settings) -> Schedule:
        """Every FOLDER_SOURCE_SECONDS. A file is listed until it is taken: nothing is missed."""
        ours = settings.of(FolderSettings)
        off = None if ours.folder_source else "FOLDER_SOURCE is not set."
        return Schedule(ours.folder_source_seconds, overlap_seconds=0, off=off)
