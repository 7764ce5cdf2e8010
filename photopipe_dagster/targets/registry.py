"""The kinds of shops that this installation has, and which of them the settings choose."""

from __future__ import annotations

from typing import Final

from photopipe_dagster import targets
from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.plugins import Registry
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.placement import TWENTY_MEGAPIXELS
from photopipe_dagster.targets.base import PictureLimits, TargetPlugin

TARGETS: Final = Registry[TargetPlugin]("target", targets, "photopipe.targets")

_ANY_SHOP: Final = PictureLimits(size=TWENTY_MEGAPIXELS, bytes=20_000_000, alt_characters=512)


def chosen_target(settings: Settings) -> TargetPlugin | None:
    """Where pictures are published: the target of PUBLISH_TARGET, else the one that is configured.

    Returns:
        ``None`` where none is configured.

    Raises:
        ConfigurationError: PUBLISH_TARGET names none, or it is empty and several are configured.
    """
    if settings.publish_target:
        return TARGETS.get(settings.publish_target, setting="PUBLISH_TARGET")
    configured = [plugin for plugin in TARGETS if plugin.shop(settings) is not None]
    if len(configured) > 1:
        names = ", ".join(plugin.name for plugin in configured)
        raise ConfigurationError(
            f"Several shops are configured: set PUBLISH_TARGET to one of {names}."
        )
    return configured[0] if configured else None


def required_target(settings: Settings) -> TargetPlugin:
    """The same, where there has to be one.

    Raises:
        ConfigurationError: There is none, or it is not clear which one.
    """
    plugin = chosen_target(settings)
    if plugin is None:
        raise no_target()
    return plugin


def no_target() -> ConfigurationError:
    """The error for where a shop is needed and none is configured."""
    return ConfigurationError(
        f"No shop to publish to: set {'; or '.join(plugin.needs for plugin in TARGETS)}."
    )


def picture_limits(settings: Settings) -> PictureLimits:
    """What the chosen target takes of a picture; what most shops take, where none is chosen."""
    plugin = chosen_target(settings)
    return _ANY_SHOP if plugin is None else plugin.limits
