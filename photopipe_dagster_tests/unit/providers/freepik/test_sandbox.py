"""The provider against the strict simulator of Freepik, over real HTTP."""

import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image, ImageDraw

from photopipe_dagster.providers.base import ProviderContext
from photopipe_dagster.providers.freepik.provider import Provider as FreepikProvider
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster_tests.unit.providers.cutouts import image_of
from photopipe_dagster_tests.unit.providers.freepik.service import (
    NotedPurchase,
    Service,
    freepik_settings,
    original,
    wanted,
)


def photo() -> bytes:
    image = Image.new("RGB", (120, 90), "white")
    ImageDraw.Draw(image).ellipse((30, 20, 90, 70), fill="darkred")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def serve_photo(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=photo())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """A sandbox that finds the photo at every address outside."""
    config = SandboxConfig(transport=httpx.MockTransport(serve_photo), mystic_scale=0.05)
    with running_sandbox(config) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(sandbox) -> None:
    sandbox.state.reset()


def provider(sandbox: RunningSandbox, **options) -> FreepikProvider:
    own = {"api_url": sandbox.freepik_url, "api_key": sandbox.config.freepik_key}
    pace = {"poll_seconds": 0.001, "requests_per_minute": 60_000}
    return FreepikProvider(ProviderContext(freepik_settings(**{**own, **pace, **options})))


@pytest.mark.parametrize("mode", ["url", "upload"])
async def test_a_cutout_is_bought_once_and_can_be_fetched_again(sandbox, mode):
    freepik = provider(sandbox, input=mode)
    shown = original(photo(), size=(120, 90), url="https://bucket.example/a.jpg?sig=s")
    purchase = NotedPurchase(Service())
    first = await freepik.remove_background(shown, purchase)
    again = await freepik.remove_background(shown, purchase)
    assert image_of(first).tobytes() == image_of(again).tobytes()
    cutout = image_of(first)
    assert (cutout.mode, cutout.size) == ("RGBA", (120, 90))
    assert cutout.getpixel((60, 45))[3] == 255
    assert sandbox.state.freepik.spent_usd == freepik.cutout_price()
    await freepik.aclose()


async def test_backgrounds_are_bought_once_as_png_and_as_jpeg(sandbox):
    freepik = provider(sandbox)
    types = set()
    for _ in range(2):
        purchase = NotedPurchase(Service())
        first = await freepik.generate_background(wanted(), purchase)
        again = await freepik.generate_background(wanted(), purchase)
        assert first.data == again.data
        types.add(first.content_type)
    assert types == {"image/png", "image/jpeg"}
    assert len(sandbox.state.freepik.charges) == 2
    await freepik.aclose()


@pytest.mark.parametrize("model", ["realism", "fluid"])
async def test_whatever_the_size_mystic_accepts_what_is_asked(sandbox, model):
    freepik = provider(sandbox, model=model)
    sizes = [(900, 300), (600, 300), (500, 400), (400, 400), (400, 500), (900, 1600), (300, 900)]
    for width, height in sizes:
        background = await freepik.generate_background(
            wanted(width, height), NotedPurchase(Service())
        )
        assert (background.metadata["resolution"] == "2k") is (height == 1600)
    await freepik.aclose()
