"""remove.bg, asked to keep the contract of money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster_tests.support.conformance.money import OneShotContract, Simulated, Vendor


class TestRemovebg(OneShotContract):
    name = "removebg"
    jobs = ("cutout",)
    orders: ClassVar[Mapping[ProviderJob, str]] = {"cutout": "POST /removebg/v1.0/removebg"}

    @pytest.fixture
    def vendor(self, sandbox) -> Vendor:
        return Simulated(self.name, sandbox)
