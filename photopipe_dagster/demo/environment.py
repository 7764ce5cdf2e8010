"""What the processes of the demo see: settings of their own, and none of anybody else's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

import photopipe_dagster
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.settings import S, Settings
from photopipe_dagster.runtime.configuration import variables
from photopipe_dagster.targets.base import TargetPlugin
from photopipe_dagster.targets.registry import TARGETS

_PREFIXES: Final = ("AWS_", "DAGSTER_", "PHOTOPIPE_")

_OTHERS: Final = {
    "AWS_PROFILE": False,
    "AWS_ACCESS_KEY_ID": True,
    "AWS_SECRET_ACCESS_KEY": True,
    "AWS_SESSION_TOKEN": True,
}
"""Variables that are no settings but read anyway, and whether they are secret."""


class ProjectNotFoundError(PhotopipeError):
    """The files that Dagster is started with are not beside the package."""


class _Given:
    """Reads what the constructor is given alone: neither the environment nor `.env`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the constructor is given."""
        return (init_settings,)


class GivenSettings(_Given, Settings):
    """Settings, also those of plug-ins, from what they are given alone."""

    def _read(self, section: type[S]) -> S:
        read: type[S] = type(section.__name__, (_Given, section), {"__module__": __name__})
        return super()._read(read)


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The settings of a process that sees these variables."""
    keys = (key for variable in variables() for key in variable.keys)
    given: dict[str, Any] = {
        key: environment[key.upper()] for key in keys if environment.get(key.upper())
    }
    return GivenSettings(**given)


def without_configuration(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without whatever configures Photopipe, Dagster or S3.

    The demo must reach nobody's shop, bucket or paid account, whatever this machine is set up for.
    """
    ours = {name for variable in variables() for name in variable.names}
    return {
        name: value
        for name, value in environment.items()
        if name.upper() not in ours and not name.upper().startswith(_PREFIXES)
    }


def given_settings(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What of an environment configures Photopipe, or says who it is to AWS.

    Returns:
        The variables that are no secrets, and the names of those that are: keys, tokens,
        passwords, and URLs that may hold one.
    """
    ours = {name: each.secret for each in variables() for name in each.names} | _OTHERS
    given = {name.upper(): value for name, value in environment.items() if value}
    shown = {name: value for name, value in given.items() if ours.get(name) is False}
    return shown, sorted(name for name in given if ours.get(name))


def loopback_without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that keep requests to this machine away from a proxy."""
    hosts = [environment.get("no_proxy") or environment.get("NO_PROXY") or ""]
    value = ",".join(filter(None, [*hosts, "127.0.0.1", "localhost"]))
    return {"no_proxy": value, "NO_PROXY": value}


def sandbox_target() -> TargetPlugin:
    """The kind of shop that photos are published to where none is configured: the sandbox has it.

    Its `sandbox_variables` has the variables that lead there.
    """
    return next(plugin for plugin in TARGETS if plugin.sandbox_variables(""))


def dagster_project() -> Path:
    """The folder with ``workspace.yaml`` and ``dagster.yaml``: the checkout.

    Raises:
        ProjectNotFoundError: They are not there.
    """
    folder = Path(photopipe_dagster.__file__).parents[1]
    if not all((folder / name).is_file() for name in ("workspace.yaml", "dagster.yaml")):
        raise ProjectNotFoundError(
            "workspace.yaml and dagster.yaml are not beside the package photopipe_dagster. Work in "
            "a checkout of the project: `make demo` or `make dev` there installs it in place."
        )
    return folder


def prepare_dagster_home(home: Path) -> Path:
    """Make Dagster's home with the project's settings of the instance; those are always renewed.

    Returns:
        Its absolute path.
    """
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(dagster_project() / "dagster.yaml", home / "dagster.yaml")
    return home.resolve()
