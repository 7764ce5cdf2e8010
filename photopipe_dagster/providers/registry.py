"""The providers that this installation has."""

from __future__ import annotations

from typing import Final

from photopipe_dagster import providers
from photopipe_dagster.core.plugins import Registry
from photopipe_dagster.providers.base import ProviderPlugin

PROVIDERS: Final = Registry[ProviderPlugin]("provider", providers, "photopipe.providers")
