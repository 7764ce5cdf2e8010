"""Dagster instances that are quickly made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory

import dagster as dg


@cache
def _template() -> TemporaryDirectory[str]:
    """A home whose databases have their schema: making them takes longer than most tests."""
    home = TemporaryDirectory(prefix="dagster-home-")
    with dg.instance_for_test(temp_dir=home.name) as instance:
        instance.get_runs_count()
        instance.all_instigator_state()
        instance.get_asset_keys()
    return home


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """An instance with a home of its own, which DAGSTER_HOME names meanwhile."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        shutil.copytree(_template().name, home, dirs_exist_ok=True)
        with dg.instance_for_test(temp_dir=home) as instance:
            yield instance
