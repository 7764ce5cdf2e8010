"""Gemini, asked to keep the contract of money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster_tests.support.conformance.money import OneShotContract, Simulated, Vendor


class ByUse(Simulated):
    by_use = True


class TestGemini(OneShotContract):
    name = "gemini"
    jobs = ("background",)
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "background": "POST /gemini/v1beta/models/gemini-nano-banana-2.1:generateContent"
    }

    @pytest.fixture
    def vendor(self, sandbox) -> Vendor:
        return ByUse(self.name, sandbox)
