"""A server of one's own: what it is sent, and what it may answer."""

import asyncio
import base64
import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.core.errors import Billed, ConfigurationError, ErrorCode, ProviderError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.pipeline.acceptance import accept_cutout
from photopipe_dagster.providers.base import Original, ProviderContext, Unpaid
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.sandbox.pictures import border_cut_out
from photopipe_dagster.sandbox.server import running_sandbox
from photopipe_dagster_tests.support.world import photo_of_a_mug

SIZE = (240, 240)
PHOTO = photo_of_a_mug()
PNG = border_cut_out(PHOTO)
KEY = "Bearer key-of-a-test"


def settings(**own):
    values = {"http_cutout_url": "https://cutter.example/cut", "http_cutout_key": KEY} | own
    return Settings(_env_file=None, **values)


async def cut(answer, **own):
    """Have the photo cut out by a server that answers that; with the request that it got."""
    asked = []

    def server(request):
        asked.append(request)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, content=answer)

    context = ProviderContext(settings(**own), transport=httpx.MockTransport(server))
    provider = PROVIDERS.get("http").open(context)
    original = Original(PHOTO, "image/jpeg", *SIZE, signed_url=lambda: "https://a/?sig=hush")
    try:
        return await provider.remove_background(original, Unpaid()), asked[-1]
    finally:
        await provider.aclose()


def picture(kind, image=None):
    out = io.BytesIO()
    image = image or Image.open(io.BytesIO(PNG))
    image.save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return out.getvalue()


def mask(size=SIZE):
    return picture("PNG", Image.open(io.BytesIO(PNG)).getchannel("A").resize(size))


async def test_a_form_carries_the_photo_and_its_options():
    _, request = await cut(
        PNG, http_cutout_field="image", http_cutout_options="model=u2net, a=true"
    )
    assert request.headers["content-type"].startswith("multipart/form-data")
    assert request.headers["authorization"] == KEY
    for part in (b'name="image"; filename="photo.jpeg"', b'name="model"', b"u2net", PHOTO):
        assert part in request.content


async def test_a_body_can_be_the_photo_itself():
    _, request = await cut(PNG, http_cutout_request="bytes", http_cutout_options="model=u2net")
    assert request.content == PHOTO
    assert request.headers["content-type"] == "image/jpeg"
    assert request.url.params["model"] == "u2net"


async def test_an_object_can_carry_the_photo_as_base64():
    own = {"http_cutout_request": "json", "http_cutout_field": "image"}
    _, request = await cut(PNG, **own, http_cutout_options="size=1024")
    told = json.loads(request.content)
    assert base64.b64decode(told["image"]) == PHOTO
    assert told["size"] == "1024"


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ("image", {"image": base64.b64encode(PNG).decode()}),
        ("data.0.image", {"data": [{"image": base64.b64encode(PNG).decode()}]}),
        ("image", {"image": "data:image/png;base64," + base64.b64encode(PNG).decode()}),
    ],
)
async def test_a_picture_can_be_within_an_object(where, answer):
    made, _ = await cut(httpx.Response(200, json=answer), http_cutout_answer=where)
    assert made.picture == PNG


@pytest.mark.parametrize(
    "answer", [b"no JSON", b"[]", b'{"image": 7}', b'{"image": "no base64!"}', b'{"data": []}']
)
async def test_an_object_without_a_picture_is_told_by_its_setting(answer):
    with pytest.raises(ProviderError, match="HTTP_CUTOUT_ANSWER") as caught:
        await cut(answer, http_cutout_answer="image")
    assert caught.value.billed is Billed.UNKNOWN


async def test_a_mask_is_laid_over_the_photos_own_pixels():
    for size in (SIZE, (120, 120)):
        made, _ = await cut(mask(size), http_cutout_gives="mask")
        assert made.picture.shape == (*SIZE, 4)
        with Image.open(io.BytesIO(PHOTO)) as photo:
            assert np.array_equal(made.picture[..., :3], np.asarray(photo.convert("RGB")))
        box = accept_cutout(made.picture, SIZE).picture.box
        assert box == pytest.approx((60, 70, 200, 200), abs=12)


async def test_a_cutout_may_come_in_another_format():
    made, _ = await cut(picture("WEBP"))
    assert accept_cutout(made.picture, SIZE).picture.box


async def test_a_picture_without_transparency_is_no_cutout():
    with pytest.raises(ProviderError, match="HTTP_CUTOUT_GIVES=mask"):
        await cut(PHOTO)


@pytest.mark.parametrize(
    ("status", "code", "billed", "says"),
    [
        (401, ErrorCode.API_ERROR, Billed.NO, "HTTP_CUTOUT_KEY"),
        (404, ErrorCode.API_ERROR, Billed.NO, "HTTP_CUTOUT_URL"),
        (422, ErrorCode.SEGMENTATION_ERROR, Billed.NO, "photopipe retry JOB"),
        (500, ErrorCode.API_ERROR, Billed.UNKNOWN, "log"),
    ],
)
async def test_a_refusal_says_what_to_look_at_and_no_secret(status, code, billed, says, caplog):
    said = f"Your key {KEY} and https://a/?sig=hush"
    with pytest.raises(ProviderError, match=says) as caught:
        await cut(httpx.Response(status, text=said))
    assert (caught.value.code, caught.value.billed) == (code, billed)
    shown = f"{caught.value} {caught.value.details} {caplog.text}"
    assert "key-of-a-test" not in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"http_cutout_url": None}, "HTTP_CUTOUT_URL"),
        ({"http_cutout_options": "model"}, "HTTP_CUTOUT_OPTIONS"),
        ({"photopipe_env": "production", "http_cutout_url": "http://a.example/x"}, "https"),
    ],
)
def test_settings_that_cannot_work_are_named(own, says):
    with pytest.raises(ConfigurationError, match=says):
        PROVIDERS.get("http").check(settings(**own))


def test_what_decides_the_look_is_part_of_the_recipe_and_no_key():
    context = ProviderContext(settings(http_cutout_options="model=u2net"))
    parameters = PROVIDERS.get("http").open(context).cutout_parameters()
    assert parameters == {"model": "u2net", "gives": "cutout"}


async def test_no_more_photos_are_sent_at_once_than_the_server_takes():
    here, most = 0, 0

    async def server(request):
        nonlocal here, most
        here, most = here + 1, max(most, here + 1)
        await asyncio.sleep(0)
        here -= 1
        return httpx.Response(200, content=PNG)

    context = ProviderContext(
        settings(http_cutout_at_once=2), transport=httpx.MockTransport(server)
    )
    provider = PROVIDERS.get("http").open(context)
    original = Original(PHOTO, "image/jpeg", *SIZE, signed_url=lambda: "")
    await asyncio.gather(*(provider.remove_background(original, Unpaid()) for _ in range(8)))
    assert most == 2
    await provider.aclose()


# --- the simulator ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rembg():
    with running_sandbox() as sandbox:
        yield sandbox


def remove(rembg, key="Bearer sandbox-rembg-key", **options):
    url = f"{rembg.url}/rembg/api/remove"
    return httpx.post(url, headers={"Authorization": key}, **options)


def test_the_stand_in_cuts_out_and_charges(rembg):
    rembg.state.reset()
    answer = remove(rembg, files={"file": PHOTO}, data={"model": "u2net"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(answer.content)) as cutout:
        assert (cutout.mode, cutout.size) == ("RGBA", SIZE)
    only = remove(rembg, files={"file": PHOTO}, data={"om": "true"})
    with Image.open(io.BytesIO(only.content)) as alpha:
        assert "A" not in alpha.getbands()
    assert rembg.state.providers["http"].spent_usd * 100 == 2


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (401, {"key": "Bearer wrong", "files": {"file": PHOTO}}),
        (401, {"key": "sandbox-rembg-key", "files": {"file": PHOTO}}),
        (422, {"files": {"image": PHOTO}}),
        (422, {"files": [("file", PHOTO), ("file", PHOTO)]}),
        (422, {"files": {"file": PHOTO}, "data": {"model": "nobody"}}),
        (422, {"files": {"file": PHOTO}, "data": {"unknown": "1"}}),
        (422, {"files": {"file": b"no picture"}}),
        (422, {"content": PHOTO}),
    ],
)
def test_the_stand_in_is_strict_and_charges_nothing_for_it(rembg, status, options):
    rembg.state.reset()
    assert remove(rembg, **options).status_code == status
    assert rembg.state.providers["http"].charges == []
