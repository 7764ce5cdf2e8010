"""Which themes there are: those that ship, narrowed by SUPPORTED_THEMES, and the shop's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from photopipe_dagster.core.errors import ConfigurationError, PhotoRejectedError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import Theme, is_name


@dataclass(frozen=True, slots=True)
class ThemeRevision:
    """A theme that the shop has made, as it was at one time. It never changes.

    Args:
        revision: From 1; the last one counts.
        archived: Whether new photos may not have it any more.
        made_by: Who made the revision.
        made_at: UTC.
    """

    theme: Theme
    revision: int
    archived: bool
    made_by: str
    made_at: datetime


class ThemeRegistry:
    """All themes by name, and which of them are offered.

    A theme that is no longer offered still works for photos that came in while it was.

    Args:
        themes: All that ship.
        offered: Names of those that a new photo may have; all where empty.
        default: The name that a photo gets which names none.
        own: The last revision of each that the shop has made. They are offered unless they are
            archived, and count where a later version of Photopipe ships one of the same name.

    Raises:
        ConfigurationError: ``offered`` names a theme that there is not, or not the default one.
    """

    def __init__(
        self,
        themes: Iterable[Theme],
        *,
        offered: Sequence[str] = (),
        default: str = "default",
        own: Iterable[ThemeRevision] = (),
    ) -> None:
        self._own = {each.theme.name: each for each in own}
        shipped = {theme.name: theme for theme in themes}
        self._themes = shipped | {name: each.theme for name, each in self._own.items()}
        unknown = [name for name in offered if name not in self._themes]
        if unknown:
            raise ConfigurationError(
                f"Unknown theme in SUPPORTED_THEMES: {', '.join(unknown)}. "
                f"Available: {', '.join(self._themes)}."
            )
        active = [name for name, each in self._own.items() if not each.archived]
        wanted = [*(offered or shipped), *active]
        archived = self._own.keys() - active
        self.offered: tuple[str, ...] = tuple(
            name for name in dict.fromkeys(wanted) if name not in archived
        )
        if default not in self.offered:
            raise ConfigurationError(
                "DEFAULT_THEME must be one of SUPPORTED_THEMES, or a theme of the shop that is not "
                f"archived; {default} is not."
            )
        self.default = default

    @classmethod
    def from_settings(cls, settings: Settings, own: Iterable[ThemeRevision] = ()) -> Self:
        """The themes that ship, as SUPPORTED_THEMES and DEFAULT_THEME narrow them, and others.

        Raises:
            ConfigurationError: One of these names a theme that there is not.
        """
        offered, default = settings.supported_themes, settings.default_theme
        return cls(THEMES.values(), offered=offered, default=default, own=own)

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

    def revision(self, name: str) -> int | None:
        """Which revision of a theme of the shop's this is; ``None`` for one that ships."""
        own = self._own.get(name)
        return None if own is None else own.revision

    def is_archived(self, name: str) -> bool:
        """Whether it is a theme of the shop's that new photos may not have any more."""
        own = self._own.get(name)
        return own is not None and own.archived

    def drafted(self, theme: Theme) -> Self:
        """The same, but for one theme that nobody has saved yet."""
        other = copy(self)
        other._themes = self._themes | {theme.name: theme}
        return other

    def __iter__(self) -> Iterator[Theme]:
        return iter(self._themes.values())


def check_names(settings: Settings) -> None:
    """See what can be seen of SUPPORTED_THEMES and DEFAULT_THEME without the ledger.

    Raises:
        ConfigurationError: No theme can have such a name, or the default one ships, and is not
            among those that are offered.
    """
    offered, default = settings.supported_themes, settings.default_theme
    named = (*(("SUPPORTED_THEMES", name) for name in offered), ("DEFAULT_THEME", default))
    for variable, name in named:
        if not is_name(name):
            raise ConfigurationError(f"Unknown theme in {variable}: {name}.")
    if offered and default in THEMES and default not in offered:
        raise ConfigurationError("DEFAULT_THEME must be one of SUPPORTED_THEMES.")
