"""Reading the settings at an entry point, and seeing at once whether they can work together."""

from __future__ import annotations

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.themes.registry import ThemeRegistry


def read_configuration() -> Settings:
    """The settings of this process's environment.

    Raises:
        ValidationError: A variable has an impossible value.
        ConfigurationError: The settings cannot work together; says which variable to set.
    """
    settings = Settings()
    check_configuration(settings)
    return settings


def check_configuration(settings: Settings) -> None:
    """See whether settings can work together. Opens no connection.

    Raises:
        ValidationError: A variable of a plug-in has an impossible value.
        ConfigurationError: The settings cannot work together; says which variable to set.
    """
    ThemeRegistry.from_settings(settings)
