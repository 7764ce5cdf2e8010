"""The settings of this installation: read at an entry point, and seen to work together.

Photopipe has settings of its own (`Settings`), and each plug-in brings some along. `variables` has
them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.providers import providers_in_use
from photopipe_dagster.sources.registry import SOURCES, sources_in_use
from photopipe_dagster.targets.registry import TARGETS, chosen_target
from photopipe_dagster.themes.registry import check_names

REGISTRIES: Final = (PROVIDERS, SOURCES, TARGETS)
"""All kinds of plug-ins."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that this installation reads.

    Args:
        section: Whose it is: Photopipe's own, or the plug-in's title.
        settings: The class that has it as a field.
        field: The name of that field.
        keys: What a constructor of that class takes for it, which in capitals is the variable. The
            first is its name; the others are earlier names that still work.
    """

    section: str
    settings: type[BaseSettings]
    field: str
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """As it is written today."""
        return self.keys[0].upper()

    @property
    def names(self) -> tuple[str, ...]:
        """As it may be written: its name, then earlier ones."""
        return tuple(key.upper() for key in self.keys)

    @property
    def info(self) -> FieldInfo:
        """Its type, default and description."""
        return self.settings.model_fields[self.field]

    @property
    def default(self) -> str:
        """What holds where it is not set, as it is written; empty for nothing."""
        value = self.info.default
        if isinstance(value, tuple):
            return ",".join(map(str, value))
        if isinstance(value, bool | None):
            return "" if value is None else str(value).lower()
        return f"{value:g}" if isinstance(value, float) else str(value)

    @property
    def secret(self) -> bool:
        """Whether its value is never shown: a key, a token, a password, or a URL with one."""
        return "SecretStr" in str(self.info.annotation)

    def holder(self, settings: Settings) -> BaseSettings:
        """What has its value.

        Raises:
            ValidationError: A variable beside it has an impossible value.
        """
        return settings.of(self.settings) if issubclass(self.settings, PluginSettings) else settings


def variables() -> Iterator[Variable]:
    """All variables: Photopipe's own, then those of each plug-in, used or not.

    Raises:
        ConfigurationError: A plug-in cannot be loaded.
    """
    for settings, section in _sections().items():
        for field, info in settings.model_fields.items():
            yield Variable(section, settings, field, _keys(field, info))


def _sections() -> Mapping[type[BaseSettings], str]:
    """Each class of settings, with its section; plug-ins of one vendor may share a class."""
    sections: dict[type[BaseSettings], str] = {Settings: "Photopipe"}
    for registry in REGISTRIES:
        for plugin in registry:
            sections.setdefault(plugin.settings, plugin.title)
    return sections


def _keys(field: str, info: FieldInfo) -> tuple[str, ...]:
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (alias if isinstance(alias, str) else field,)


def secret_values(settings: Settings) -> Iterator[str]:
    """All values that must never be shown; a comma separates several in one.

    Raises:
        ValidationError: A variable of a plug-in has an impossible value.
    """
    for variable in variables():
        value = getattr(variable.holder(settings), variable.field)
        if isinstance(value, SecretStr):
            yield from (part.strip() for part in value.get_secret_value().split(","))


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
    for variable in variables():
        variable.holder(settings)
    check_names(settings)
    target = chosen_target(settings)
    targets = () if target is None else (target,)
    for plugin in (*providers_in_use(settings), *sources_in_use(settings), *targets):
        plugin.check(settings)
