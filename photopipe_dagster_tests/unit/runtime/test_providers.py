"""Which providers the settings choose."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.rate_limit import shared_bucket
from photopipe_dagster.providers.base import Capabilities, ProviderContext, ProviderPlugin
from photopipe_dagster.providers.freepik.provider import Provider as FreepikProvider
from photopipe_dagster.providers.prices import PriceList
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime import providers as maker_registry
from photopipe_dagster.runtime.configuration import check_configuration
from photopipe_dagster.runtime.providers import (
    Providers,
    is_generative,
    possible_prices,
    providers_in_use,
)
from photopipe_dagster.themes.builtin import THEMES


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, freepik_api_key="made-up", **values)


async def test_one_name_for_both_is_one_provider():
    providers = Providers(settings(ai_provider="freepik"))
    assert isinstance(providers.cutouts, FreepikProvider)
    assert providers.backgrounds(THEMES["kitchen"]) is providers.cutouts
    await providers.aclose()


def test_freepik_brings_nothing_heavy_along():
    code = (
        "import sys\n"
        "from photopipe_dagster.runtime.providers import Providers\n"
        "from photopipe_dagster.core.settings import Settings\n"
        "Providers(Settings(_env_file=None, ai_provider='freepik', freepik_api_key='x'))\n"
        "heavy = {'onnxruntime', 'cv2', 'pandas', 'dagster', 'boto3', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert 'photopipe_dagster.providers.local.provider' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_settings_reach_freepik():
    chosen = settings(
        freepik_api_url="https://api.freepik.com",
        freepik_model="zen",
        freepik_resolution="4k",
        price_cutout_usd="0.03",
    )
    provider = PROVIDERS.get("freepik").open(ProviderContext(chosen))
    assert repr(provider) == "FreepikProvider(api.freepik.com, zen, 4k)"
    assert str(provider.cutout_price()) == "0.03"


async def test_processes_share_the_limit_and_the_runs_of_one_share_a_bucket(monkeypatch):
    chosen = settings(ai_provider="freepik", freepik_requests_per_minute=40, worker_processes=80)
    bucket = shared_bucket("freepik https://api.magnific.com", 0.5)

    class AskedError(Exception):
        pass

    async def acquire() -> float:
        raise AskedError

    monkeypatch.setattr(bucket, "acquire", acquire)
    for _ in range(2):
        providers = Providers(chosen)
        assert isinstance(providers.cutouts, FreepikProvider)
        with pytest.raises(AskedError):
            await providers.cutouts._client.mystic_task("x")
        await providers.aclose()


def test_freepik_wants_a_key():
    with pytest.raises(ConfigurationError, match="FREEPIK_API_KEY"):
        PROVIDERS.get("freepik").open(ProviderContext(Settings(_env_file=None)))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            {"ai_provider": "midjourney"},
            ("Unknown provider 'midjourney' in AI_PROVIDER. Available: {cutout}."),
        ),
        (
            {"cutout_provider": "x", "background_provider": "local"},
            "Unknown provider 'x' in CUTOUT_PROVIDER. Available: {cutout}.",
        ),
        (
            {"background_provider": "x"},
            ("Unknown provider 'x' in BACKGROUND_PROVIDER. Available: {background}."),
        ),
        (
            {"cutout_provider": "white"},
            ("The provider 'white' in CUTOUT_PROVIDER makes no cut-outs. Available: {cutout}."),
        ),
    ],
)
def test_who_cannot_do_what_is_asked_is_told_with_the_variable_and_who_can(names, says):
    odd = settings(**names)
    for look in (check_configuration, Providers):
        with pytest.raises(ConfigurationError) as caught:
            look(odd)
        able = {
            job: ", ".join(each.name for each in PROVIDERS if getattr(each.capabilities, job))
            for job in ("cutout", "background")
        }
        assert str(caught.value) == says.format(**able)


class Opened:
    name = "acme"
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1
        raise RuntimeError("stuck")


class Acme(ProviderPlugin):
    """Paid by the scene, from another package."""

    name = "acme"
    title = "Acme"
    capabilities = Capabilities(background=True)

    def __init__(self) -> None:
        self.made = Opened()

    def open(self, context: ProviderContext) -> Any:
        return self.made

    def prices(self, settings: Settings) -> PriceList:
        return PriceList({"background_xl": Decimal("0.40")})


@pytest.fixture
def acme(monkeypatch) -> Acme:
    """A provider of another package, which makes the backgrounds of one theme."""
    plugin = Acme()
    entry = EntryPoint("acme", "acme:Plugin", "photopipe.providers")
    monkeypatch.setitem(PROVIDERS._found, "acme", (entry,))
    monkeypatch.setitem(PROVIDERS._made, "acme", plugin)
    kitchen = replace(THEMES["kitchen"], background="acme")
    monkeypatch.setattr(maker_registry, "THEMES", {**THEMES, "kitchen": kitchen})
    return plugin


async def test_a_theme_names_the_provider_of_its_backgrounds(acme):
    chosen = settings(ai_provider="freepik")
    assert [each.name for each in providers_in_use(chosen)] == ["freepik", "acme", "white"]
    providers = Providers(chosen)
    named = {
        theme.name: providers.backgrounds(theme).name for theme in maker_registry.THEMES.values()
    }
    assert named["kitchen"] == "acme"
    assert named["google"] == "white"
    assert named["luxury"] == "freepik"
    with pytest.raises(RuntimeError, match="stuck"):
        await providers.aclose()
    assert acme.made.closed == 1
    assert providers.cutouts._client.http.is_closed


def test_what_themes_ask_of_others_counts_in_what_a_photo_may_cost(acme):
    prices = possible_prices(settings(), datetime(2027, 1, 1, tzinfo=UTC))
    assert (prices.cutouts, prices.backgrounds) == ((Decimal(0),), (Decimal("0.40"),))


def test_a_theme_that_names_nobody_known_is_told(monkeypatch):
    kitchen = replace(THEMES["kitchen"], background="gone")
    monkeypatch.setattr(maker_registry, "THEMES", {**THEMES, "kitchen": kitchen})
    with pytest.raises(ConfigurationError, match="'gone' in the theme 'kitchen'"):
        check_configuration(settings())


def test_whoever_is_not_installed_counts_as_generative(acme):
    names = ("local", "white", "freepik", "acme", "gone", "outside", None)
    assert [is_generative(name) for name in names] == [False, False, True, True, True, True, True]


async def test_the_two_jobs_may_have_different_providers():
    providers = Providers(settings(background_provider="freepik"))
    assert providers.cutouts.name == "local"
    assert providers.backgrounds(THEMES["kitchen"]).name == "freepik"
    await providers.aclose()


PACKAGE = """
from decimal import Decimal
from pydantic import Field
from photopipe_dagster.core.plugins import PluginSettings
from photopipe_dagster.providers.base import Capabilities, ProviderPlugin
from photopipe_dagster.providers.prices import PriceList


class AcmeSettings(PluginSettings):
    acme_price_usd: Decimal = Field(Decimal("0.30"), description="USD for a background.")


class Painter:
    name = "acme"

    async def aclose(self):
        pass


class Plugin(ProviderPlugin):
    name, title, settings = "acme", "Acme", AcmeSettings
    capabilities = Capabilities(background=True)

    def open(self, context):
        return Painter()

    def prices(self, settings):
        return PriceList({"background": settings.of(AcmeSettings).acme_price_usd})
"""

PROGRAM = """
import asyncio
from datetime import UTC, datetime
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.runtime.circuit_breaker import services_by_stage
from photopipe_dagster.runtime.configuration import check_configuration, variables
from photopipe_dagster.runtime.providers import Providers, possible_prices
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.registry import ThemeRegistry

settings = Settings(_env_file=None, background_provider="acme", acme_price_usd="0.40")
check_configuration(settings)
providers = Providers(settings)
print(providers.backgrounds(THEMES["kitchen"]).name)
asyncio.run(providers.aclose())
print(possible_prices(settings, datetime.now(UTC)).backgrounds[0])
print(*services_by_stage(settings).values())
print(*(each.name for each in variables() if each.section == "Acme"))
"""


def test_a_package_adds_a_provider_by_an_entry_point(tmp_path: Path):
    (tmp_path / "photopipe_acme.py").write_text(PACKAGE)
    info = tmp_path / "photopipe_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: photopipe-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[photopipe.providers]\nacme = photopipe_acme:Plugin\n")
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert found.stdout.split() == ["acme", "0.40", "acme.backgrounds", "ACME_PRICE_USD"]
