"""Stability AI, asked to keep the contract of money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster_tests.support.conformance.money import OneShotContract, Simulated, Vendor


class TestStability(OneShotContract):
    name = "stability"
    jobs = ("cutout", "background")
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "cutout": "POST /stability/v2beta/stable-image/edit/remove-background",
        "background": "POST /stability/v2beta/stable-image/generate/core",
    }

    @pytest.fixture
    def vendor(self, sandbox) -> Vendor:
        return Simulated(self.name, sandbox)
