"""The settings of the folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from photopipe_dagster.core.plugins import PluginSettings


class FolderSettings(PluginSettings):
    """Which folder is looked at, and when a file counts as written."""

    folder_source: Path | None = Field(
        None,
        description="Folder that photos are put into, named after their SKUs; taken ones go to "
        "`done` in it. Empty: none.",
    )
    folder_source_seconds: int = Field(15, ge=1, description="Seconds between two looks.")
    folder_source_quiet_seconds: float = Field(
        10.0, ge=0, description="A file is taken when it has not changed for so many seconds."
    )
