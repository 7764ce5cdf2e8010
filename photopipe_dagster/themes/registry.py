"""Which themes there are: those that ship, narrowed by SUPPORTED_THEMES."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from photopipe_dagster.core.errors import ConfigurationError, PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import Theme


class ThemeRegistry:
    """All themes by name, and which of them are offered.

    A theme that is no longer offered still works for photos that came in while it was.

    Args:
        themes: All that there are.
        offered: Names that a new photo may have; all where empty.
        default: The name that a photo gets which names none.

    Raises:
        ConfigurationError: ``offered`` names a theme that there is not, or not the default one.
    """

    def __init__(
        self, themes: Iterable[Theme], *, offered: Sequence[str] = (), default: str = "default"
    ) -> None:
        self._themes = {theme.name: theme for theme in themes}
        unknown = [name for name in offered if name not in self._themes]
        if unknown:
            raise ConfigurationError(
                f"Unknown theme in SUPPORTED_THEMES: {', '.join(unknown)}. "
                f"Available: {', '.join(self._themes)}."
            )
        self.offered: tuple[str, ...] = tuple(offered) or tuple(self._themes)
        if default not in self.offered:
            raise ConfigurationError("DEFAULT_THEME must be one of SUPPORTED_THEMES.")
        self.default = default

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The themes that ship, as SUPPORTED_THEMES and DEFAULT_THEME narrow them.

        Raises:
            ConfigurationError: One of these names a theme that there is not.
        """
        offered, default = settings.supported_themes, settings.default_theme
        return cls(THEMES.values(), offered=offered, default=default)

    def get(self, name: str) -> Theme:
        """The theme of a name, whether it is offered or not.

        Raises:
            PhotoRejectedError: There is none.
        """
        try:
            return self._themes[name]
        except KeyError:
            raise PhotoRejectedError(
                f"There is no theme {name!r}; choose one of {', '.join(self.offered)}."
            ) from None

    def offer(self, name: str | None) -> Theme:
        """The theme that a new photo is to have; the default one where it names none.

        Raises:
            PhotoRejectedError: It is not offered.
        """
        chosen = self.default if name is None else name
        if chosen not in self.offered:
            raise PhotoRejectedError(
                f"theme: {chosen[:64]!r} is not one of {', '.join(self.offered)}."
            )
        return self._themes[chosen]

    def __iter__(self) -> Iterator[Theme]:
        return iter(self._themes.values())
