"""The kinds of shops that this installation has."""

from __future__ import annotations

from typing import Final

from photopipe_dagster import targets
from photopipe_dagster.core.plugins import Registry
from photopipe_dagster.targets.base import TargetPlugin

TARGETS: Final = Registry[TargetPlugin]("target", targets, "photopipe.targets")
