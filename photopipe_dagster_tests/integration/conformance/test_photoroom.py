"""Photoroom, asked to keep the contract of money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster_tests.support.conformance.money import OneShotContract, Simulated, Vendor


class TestPhotoroom(OneShotContract):
    name = "photoroom"
    jobs = ("cutout", "background")
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "cutout": "POST /photoroom/sdk/v1/segment",
        "background": "POST /photoroom/image-api/v2/edit",
    }

    @pytest.fixture
    def vendor(self, sandbox) -> Vendor:
        return Simulated(self.name, sandbox)
