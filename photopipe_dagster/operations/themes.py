"""What people do with the shop's own themes: make, copy, edit and archive them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from photopipe_dagster.core.errors import (
    ConfigurationError,
    ConflictError,
    InvalidRecordError,
    NotFoundError,
)
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.providers.local.scenes import SCENES
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.providers import background_plugin
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import Theme
from photopipe_dagster.themes.registry import ThemeRevision


def find_theme(ledger: Ledger, name: str) -> Theme:
    """A theme of a name, be it the shop's or one that ships, as it is this very moment.

    Raises:
        NotFoundError: There is none.
    """
    history = history_of(ledger, name)
    return history[-1].theme if history else THEMES[name]


def history_of(ledger: Ledger, name: str) -> tuple[ThemeRevision, ...]:
    """All revisions of a theme, the first one first; none of one that ships.

    Raises:
        NotFoundError: There is no such theme.
    """
    history = ledger.themes.history(name)
    if not history and name not in THEMES:
        raise NotFoundError("theme", name, "theme list")
    return history


def create_theme(settings: Settings, ledger: Ledger, theme: Theme, *, by: str) -> ThemeRevision:
    """Make a new theme.

    Raises:
        InvalidRecordError: It cannot work; names the field.
        ConflictError: There is one of that name, even if it is archived.
    """
    require_new(ledger, theme.name)
    check_theme(settings, ledger, theme)
    return ledger.themes.save(theme, based_on=0, by=by)


def require_new(ledger: Ledger, name: str) -> None:
    """See that a name is free.

    Raises:
        ConflictError: There is a theme of that name, even if it is archived.
    """
    if name in THEMES:
        raise ConflictError(f"{name} is built in. Choose another name.")
    if ledger.themes.history(name):
        raise ConflictError(f"There is a theme {name} already. Choose another name, or edit it.")


def copy_theme(
    settings: Settings, ledger: Ledger, name: str, new_name: str, *, by: str
) -> ThemeRevision:
    """Make a new theme that is like another one, which may be built in.

    Raises:
        NotFoundError: There is no such theme.
        InvalidRecordError: The new name cannot be one.
        ConflictError: There is one of that name.
    """
    return create_theme(settings, ledger, copied(find_theme(ledger, name), new_name), by=by)


def copied(theme: Theme, name: str) -> Theme:
    """A theme under another name, that is drawn as it is."""
    scene = theme.drawn_as if theme.drawn_as in SCENES else ""
    return replace(theme, name=name, local_scene=scene)


def edit_theme(
    settings: Settings, ledger: Ledger, theme: Theme, *, based_on: int, by: str
) -> ThemeRevision:
    """Make the next revision of a theme. One that is archived is offered again.

    Args:
        based_on: The revision that was changed.

    Raises:
        NotFoundError: The shop has made no such theme.
        InvalidRecordError: It is built in, or cannot work; names the field.
        ConflictError: Somebody has changed it since; says who changed what.
    """
    _require_own(ledger, theme.name)
    check_theme(settings, ledger, theme)
    return ledger.themes.save(theme, based_on=based_on, by=by)


def archive_theme(
    settings: Settings, ledger: Ledger, name: str, *, based_on: int, by: str
) -> ThemeRevision:
    """Offer a theme to no new photo. Photos that have it keep it, and it can be edited again.

    Raises:
        NotFoundError: The shop has made no such theme.
        InvalidRecordError: It is built in, or photos that name no theme get it.
        ConflictError: Somebody has changed it since; says who changed what.
    """
    own = _require_own(ledger, name)
    if name == settings.default_theme:
        raise InvalidRecordError(
            f"{name} is DEFAULT_THEME, which photos get that name no theme. Set another one first."
        )
    return ledger.themes.save(own.theme, based_on=based_on, by=by, archived=True)


def _require_own(ledger: Ledger, name: str) -> ThemeRevision:
    history = history_of(ledger, name)
    if not history:
        raise InvalidRecordError(
            f"{name} is built in, and cannot be changed. Copy it, and change the copy "
            f"(`photopipe theme copy {name} NEW`)."
        )
    return history[-1]


def check_theme(
    settings: Settings, ledger: Ledger, theme: Theme, *, brought: Collection[str] = ()
) -> None:
    """See whether pictures can be made in a theme.

    Args:
        brought: Scenes that are approved with it.

    Raises:
        InvalidRecordError: They cannot; names the field.
    """
    # What is paid is configured and checked by the settings; a theme may choose what is free.
    free = [each.name for each in PROVIDERS if _is_free(each.name)]
    if theme.background is not None and theme.background not in free:
        raise InvalidRecordError(
            f"background: {theme.background!r} is not one of {', '.join(free)}. Leave it out, and "
            "BACKGROUND_PROVIDER makes the backgrounds."
        )
    try:
        provider = background_plugin(settings, theme)
    except ConfigurationError as error:
        raise InvalidRecordError(f"background: {error}") from None
    needed = [name for name in theme.scenes if name not in brought]
    missing = [name for name in needed if ledger.scenes.approved(name) is None]
    if missing:
        raise InvalidRecordError(
            f"scenes: {missing[0]!r} has no approved revision. `photopipe scene` lists them."
        )
    if theme.scenes:
        return  # no background is made, so nothing that a provider reads can be wrong
    if provider.capabilities.generative and not theme.prompt.strip():
        raise InvalidRecordError(
            f"prompt: is empty, and {provider.title} is asked for what it says. Describe the "
            "empty scene."
        )
    if provider.name == "local" and theme.drawn_as not in SCENES:
        raise InvalidRecordError(
            "local_scene: backgrounds are drawn on this machine, which knows these scenes: "
            f"{', '.join(SCENES)}. Name one, or set BACKGROUND_PROVIDER to a service."
        )
    if theme.local_scene and theme.local_scene not in SCENES:
        raise InvalidRecordError(
            f"local_scene: {theme.local_scene!r} is not one of {', '.join(SCENES)}."
        )
    looks = SCENES[theme.drawn_as].looks if theme.drawn_as in SCENES else {}
    unknown = [look for look in theme.looks if look not in looks]
    if unknown:
        raise InvalidRecordError(
            f"looks: {unknown[0]!r} is not one of {', '.join(looks) or 'none'}."
        )


def _is_free(provider: str) -> bool:
    capabilities = PROVIDERS.get(provider).capabilities
    return capabilities.background and not capabilities.remote
