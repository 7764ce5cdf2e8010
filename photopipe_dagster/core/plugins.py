"""Plug-ins: where a registry finds them, and the settings that each brings along.

A plug-in is one folder. Those of this project lie in the folder of their registry and have a module
``plugin`` with a class ``Plugin``; those of other packages are named by an entry point, such as::

    [project.entry-points."photopipe.providers"]
    example = "photopipe_example.plugin:Plugin"

The name of the entry point is the plug-in's name. A module is imported when its plug-in is asked
for, so a module ``plugin`` imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from pydantic_settings import BaseSettings, SettingsConfigDict

from photopipe_dagster.core.errors import ConfigurationError, ErrorCode

if TYPE_CHECKING:
    from photopipe_dagster.core.settings import Settings


class PluginSettings(BaseSettings):
    """Settings of one plug-in: each field is the environment variable of that name in capitals.

    Every field begins with the plug-in's own prefix and has a description: the configuration page
    is made of them. Read one with `Settings.of`.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        populate_by_name=True,
    )


class Plugin:
    """What all kinds of plug-ins have in common.

    Attributes:
        name: As settings and the ledger name it: lower-case letters, digits and ``-``. Never
            changes, since what was bought and published is recorded under it.
        title: As people call it.
        settings: The class of its settings.
        advice: What an operator does about a code, where the general advice is not enough.
    """

    name: str
    title: str
    settings: type[PluginSettings] = PluginSettings
    advice: ClassVar[Mapping[ErrorCode, str]] = {}

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """Variables that lead to its simulator in the sandbox at that URL; none: it has none."""
        return {}

    def check(self, settings: Settings) -> None:
        """See whether its settings can work; opens no connection.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        return


P = TypeVar("P", bound=Plugin)


class Registry(Generic[P]):
    """All plug-ins of one kind, by name. Each is made once, when it is first asked for.

    Args:
        kind: What a plug-in of this kind is called in messages, such as ``provider``.
        room: The package whose folders are plug-ins of this project.
        group: The group of entry points of other packages' plug-ins.
    """

    def __init__(self, kind: str, room: ModuleType, group: str) -> None:
        self.kind = kind
        self.group = group
        self._room = room
        self._made: dict[str, P] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all plug-ins, sorted; none is imported for that."""
        return tuple(sorted(self._found))

    def get(self, name: str, *, setting: str | None = None) -> P:
        """The plug-in of a name.

        Args:
            setting: The variable that named it, for the message.

        Raises:
            ConfigurationError: There is none, two have the name, or it cannot be imported.
        """
        if name not in self._made:
            self._made[name] = self._load(name, setting)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[P]:
        return (self.get(name) for name in self.names)

    def _load(self, name: str, setting: str | None) -> P:
        places = self._found.get(name)
        if places is None:
            raise ConfigurationError(
                f"Unknown {self.kind} {name!r}{f' in {setting}' if setting else ''}. "
                f"Available: {', '.join(self.names)}."
            )
        if len(places) > 1:
            raise ConfigurationError(
                f"Several packages bring a {self.kind} {name!r}: "
                f"{', '.join(place.value for place in places)}. Uninstall all but one."
            )
        try:
            made: P = places[0].load()()
        except Exception as error:
            raise ConfigurationError(
                f"The {self.kind} {name!r} ({places[0].value}) cannot be loaded: "
                f"{type(error).__name__}: {error}. Update or uninstall its package."
            ) from error
        if made.name != name:
            raise ConfigurationError(
                f"The {self.kind} at {places[0].value} calls itself {made.name!r} and is "
                f"registered as {name!r}: both must be the same."
            )
        return made

    @cached_property
    def _found(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for entry in (*self._own(), *entry_points(group=self.group)):
            found[entry.name] = (*found.get(entry.name, ()), entry)
        return found

    def _own(self) -> Iterator[EntryPoint]:
        for path in map(Path, self._room.__path__):
            for module in sorted(path.glob("*/plugin.py")):
                name = module.parent.name
                yield EntryPoint(name, f"{self._room.__name__}.{name}.plugin:Plugin", self.group)
