"""Which providers the settings choose."""

import subprocess
import sys
from typing import Any

import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.rate_limit import shared_bucket
from photopipe_dagster.providers.factory import (
    Providers,
    background_provider,
    cutout_provider,
    make_providers,
)
from photopipe_dagster.providers.freepik.provider import FreepikProvider


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, freepik_api_key="made-up", **values)


class Closable:
    name = "closable"

    def __init__(self, error: Exception | None = None) -> None:
        self.closed = 0
        self._error = error

    async def aclose(self) -> None:
        self.closed += 1
        if self._error:
            raise self._error


async def test_one_name_for_both_is_one_provider():
    providers = make_providers(settings(ai_provider="freepik"))
    assert isinstance(providers.cutouts, FreepikProvider)
    assert providers.backgrounds is providers.cutouts
    await providers.aclose()


def test_each_alone():
    chosen = settings(ai_provider="freepik")
    assert cutout_provider(chosen).name == "freepik"
    assert background_provider(chosen).name == "freepik"


def test_freepik_brings_nothing_heavy_along():
    code = (
        "import sys\n"
        "from photopipe_dagster.providers.factory import make_providers\n"
        "from photopipe_dagster.core.settings import Settings\n"
        "make_providers(Settings(_env_file=None, ai_provider='freepik', freepik_api_key='x'))\n"
        "heavy = {'onnxruntime', 'cv2', 'pandas', 'dagster', 'boto3', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert 'photopipe_dagster.providers.local' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_settings_reach_freepik():
    provider = FreepikProvider.from_settings(
        settings(
            freepik_api_url="https://api.freepik.com",
            freepik_model="zen",
            freepik_resolution="4k",
            price_cutout_usd="0.03",
        )
    )
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
        providers = make_providers(chosen)
        assert isinstance(providers.cutouts, FreepikProvider)
        with pytest.raises(AskedError):
            await providers.cutouts._client.mystic_task("x")
        await providers.aclose()


def test_freepik_wants_a_key():
    with pytest.raises(ConfigurationError, match="FREEPIK_API_KEY"):
        FreepikProvider.from_settings(Settings(_env_file=None))


def test_an_unknown_name_is_told():
    odd = settings().model_copy(update={"ai_provider": "midjourney"})
    with pytest.raises(ConfigurationError, match="midjourney"):
        make_providers(odd)


async def test_a_shared_provider_is_closed_once():
    both = Closable()
    await Providers(both, both).aclose()
    assert both.closed == 1


async def test_two_providers_are_both_closed_even_if_one_fails():
    first, second = Closable(RuntimeError("stuck")), Closable()
    with pytest.raises(RuntimeError, match="stuck"):
        await Providers(first, second).aclose()
    assert (first.closed, second.closed) == (1, 1)


def test_the_two_jobs_may_have_different_providers():
    pytest.importorskip("photopipe_dagster.providers.local.provider")
    providers = make_providers(settings(background_provider="freepik"))
    assert providers.cutouts.name == "local"
    assert providers.backgrounds.name == "freepik"
