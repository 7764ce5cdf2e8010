"""The variables of an Acme shelf."""

from __future__ import annotations

from pydantic import Field, SecretStr

from photopipe_dagster.core.plugins import PluginSettings


class ShelfSettings(PluginSettings):
    """Where the shelf is, and how often it is looked at."""

    acme_shelf_url: str | None = Field(
        None, description="Address of the shelf. Empty: it is not polled."
    )
    acme_shelf_key: SecretStr | None = Field(None, description="Key of the shelf.")
    acme_shelf_seconds: int = Field(60, ge=1, description="Seconds between two polls.")
