"""Providers whose answer to an order is all there is, asked to keep the contract of money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster_tests.support.conformance.money import OneShotContract, Simulated, Vendor


class ByUse(Simulated):
    by_use = True


class Contract(OneShotContract):
    simulated: ClassVar[type[Simulated]] = Simulated

    @pytest.fixture
    def vendor(self, sandbox) -> Vendor:
        return self.simulated(self.name, sandbox)


class TestGemini(Contract):
    name = "gemini"
    jobs = ("background",)
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "background": "POST /gemini/v1beta/models/gemini-nano-banana-2.1:generateContent"
    }
    simulated = ByUse


class TestOpenai(Contract):
    name = "openai"
    jobs = ("background",)
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "background": "POST /openai/v1/images/generations"
    }
    simulated = ByUse


class TestPhotoroom(Contract):
    name = "photoroom"
    jobs = ("cutout", "background")
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "cutout": "POST /photoroom/sdk/v1/segment",
        "background": "POST /photoroom/image-api/v2/edit",
    }


class TestRemovebg(Contract):
    name = "removebg"
    jobs = ("cutout",)
    orders: ClassVar[Mapping[ProviderJob, str]] = {"cutout": "POST /removebg/v1.0/removebg"}


class TestStability(Contract):
    name = "stability"
    jobs = ("cutout", "background")
    orders: ClassVar[Mapping[ProviderJob, str]] = {
        "cutout": "POST /stability/v2beta/stable-image/edit/remove-background",
        "background": "POST /stability/v2beta/stable-image/generate/core",
    }
