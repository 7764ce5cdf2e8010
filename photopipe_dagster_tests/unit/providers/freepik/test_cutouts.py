"""Cut-outs: what is sent, what comes back, and what is resumed."""

import io
from urllib.parse import parse_qs

import httpx
import pytest
from PIL import Image, ImageOps

from photopipe_dagster.core.errors import Billed, ErrorCode, PhotoRejectedError, ProviderError
from photopipe_dagster.providers.base import ResultGoneError, StillRunningError
from photopipe_dagster.providers.remote import downloads
from photopipe_dagster.providers.remote.pictures import InputLimits
from photopipe_dagster_tests.unit.providers.cutouts import image_of
from photopipe_dagster_tests.unit.providers.freepik.service import (
    BASE,
    KEY,
    PHOTO_URL,
    RESULT_URL,
    NotedPurchase,
    Service,
    cutout_urls,
    original,
    picture,
)

REMOVE = "/v1/ai/beta/remove-background"
REQUEST_UPLOAD = "/v1/ai/uploads/request-url"
HEADER = "x-magnific-api-key"


@pytest.fixture
def service() -> Service:
    service = Service()
    service.on("POST", BASE + REMOVE, cutout_urls())
    service.on("GET", RESULT_URL, httpx.Response(200, content=picture()))
    return service


async def cut(service: Service, photo=None, reference=None, **options):
    provider = service.provider(**options)
    purchase = NotedPurchase(service, reference)
    try:
        return await provider.remove_background(photo or original(), purchase)
    finally:
        await provider.aclose()


async def test_the_photo_is_sent_as_a_form_and_the_purchase_told_before_the_download(service):
    cutout = await cut(service)
    post = service.requests[0]
    assert post.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(post.content.decode()) == {"image_url": [PHOTO_URL]}
    assert post.headers[HEADER] == KEY
    assert service.events == [
        f"POST {REMOVE}",
        "submitted",
        "GET /v1/ai/beta/images/download/x/high.png",
    ]
    assert HEADER not in service.requests[1].headers
    assert cutout.picture == picture()
    assert cutout.model == "freepik/remove-background-beta"


async def test_the_legacy_header_and_host_are_a_matter_of_settings(service):
    service.on("POST", "https://api.freepik.com" + REMOVE, cutout_urls())
    await cut(service, api_url="https://api.freepik.com/", api_key_header="x-freepik-api-key")
    assert service.requests[0].headers["x-freepik-api-key"] == KEY


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_an_expired_reference_is_gone(service, status):
    service.on("GET", RESULT_URL, httpx.Response(status))
    with pytest.raises(ResultGoneError):
        await cut(service, reference=RESULT_URL)
    assert service.count("POST") == 0


@pytest.mark.parametrize("reference", ["t-1", "ftp://host/x", "http://host/x", "https://a:b/"])
async def test_a_reference_that_is_no_address_of_a_result_is_gone(service, reference):
    with pytest.raises(ResultGoneError):
        await cut(service, reference=reference)
    assert service.requests == []


async def test_freepiks_own_download_is_tried_with_the_key_where_it_asks_for_one(service):
    def guarded(request: httpx.Request) -> httpx.Response:
        if request.headers.get(HEADER) == KEY:
            return httpx.Response(200, content=picture())
        return httpx.Response(401)

    service.on("GET", RESULT_URL, guarded)
    assert (await cut(service)).picture == picture()


async def test_another_host_never_sees_the_key(service):
    service.on("POST", BASE + REMOVE, cutout_urls("https://cdn.example/high.png"))
    service.on("GET", "https://cdn.example/high.png", httpx.Response(403))
    with pytest.raises(StillRunningError):
        await cut(service)
    assert service.count("GET") == 1
    assert HEADER not in service.requests[-1].headers


async def test_redirects_are_followed_without_the_key(service):
    def ours(request: httpx.Request) -> httpx.Response:
        if HEADER not in request.headers:
            return httpx.Response(401)
        return httpx.Response(302, headers={"location": "https://cdn.example/high.png"})

    service.on("GET", RESULT_URL, ours)
    service.on("GET", "https://cdn.example/high.png", httpx.Response(200, content=picture()))
    assert (await cut(service)).picture == picture()
    assert HEADER not in service.requests[-1].headers


async def test_redirects_to_plain_http_are_not_followed(service):
    away = httpx.Response(302, headers={"location": "http://169.254.169.254/latest"})
    service.on("GET", RESULT_URL, away)
    with pytest.raises(ProviderError, match="not https") as caught:
        await cut(service)
    assert caught.value.billed is Billed.YES
    assert service.requests[-1].url.host == "api.magnific.com"


async def test_endless_redirects_end(service):
    service.on("GET", RESULT_URL, httpx.Response(302, headers={"location": RESULT_URL}))
    with pytest.raises(StillRunningError, match="redirects"):
        await cut(service)
    assert service.count("GET") == downloads.MAX_REDIRECTS + 1


async def test_the_download_is_repeated_and_then_stays_bought(service):
    service.on(
        "GET", RESULT_URL, httpx.Response(502), httpx.ReadTimeout("slow"), httpx.Response(500)
    )
    with pytest.raises(StillRunningError):
        await cut(service)
    assert service.count("GET") == 4
    assert service.count("POST") == 1


async def test_a_download_without_end_is_cut_off(service, monkeypatch):
    monkeypatch.setattr(downloads, "MAX_RESULT_BYTES", 1000)
    service.on("GET", RESULT_URL, httpx.Response(200, content=b"x" * 1001))
    with pytest.raises(ProviderError, match="more than 1000 bytes") as caught:
        await cut(service)
    assert caught.value.billed is Billed.YES
    assert not isinstance(caught.value, StillRunningError)


# --- what is delivered -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "retryable"),
    [
        (picture(kind="PNG", mode="RGB"), False),
        (picture((30, 30)), False),
        (picture(kind="JPEG", mode="RGB"), True),
        (picture()[:-20], True),
        (b"<html>", True),
    ],
    ids=["no alpha", "another ratio", "a jpeg", "truncated", "html"],
)
async def test_a_cutout_that_is_of_no_use_was_billed(service, data, retryable):
    service.on("GET", RESULT_URL, httpx.Response(200, content=data))
    if retryable:  # the way may be broken: it is fetched once more before it is given up
        with pytest.raises(StillRunningError, match="It stays bought"):
            await cut(service)
    with pytest.raises(ProviderError) as caught:
        await cut(service, reference=RESULT_URL if retryable else None)
    assert not isinstance(caught.value, StillRunningError)
    assert caught.value.code is ErrorCode.SEGMENTATION_ERROR
    assert caught.value.billed is Billed.YES
    assert caught.value.retryable is retryable


async def test_a_smaller_cutout_is_brought_to_the_size_of_its_original(service):
    service.on("GET", RESULT_URL, httpx.Response(200, content=picture((20, 15))))
    cutout = await cut(service)
    image = image_of(cutout)
    assert (image.size, image.mode) == ((40, 30), "RGBA")
    # The photo's own pixels, which a JPEG has not quite kept: none that were enlarged.
    assert image.getpixel((2, 2)) == (254, 2, 0, 255)
    assert cutout.metadata["delivered_width"] == 20


def turned(orientation: int, size: tuple[int, int]) -> bytes:
    """A JPEG that is red in the upper left quarter as stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(size, "JPEG", "RGB", exif=exif, quality=95)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("stored", [(40, 30), (32, 32)], ids=["oblong", "square"])
@pytest.mark.parametrize("heeded", [True, False], ids=["heeded", "ignored"])
async def test_cutouts_are_upright_whatever_freepik_makes_of_exif(
    service, orientation, stored, heeded
):
    data = turned(orientation, stored)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    delivered = Image.open(io.BytesIO(data))
    if heeded:
        delivered = upright
    buffer = io.BytesIO()
    delivered.convert("RGBA").save(buffer, "PNG")
    service.on("GET", RESULT_URL, httpx.Response(200, content=buffer.getvalue()))
    cutout = await cut(service, original(data, size=upright.size))
    result = image_of(cutout)
    assert result.size == upright.size
    assert result.tobytes() == upright.convert("RGBA").tobytes()


async def test_an_empty_cutout_of_a_turned_photo_is_left_to_the_quality_checks(service):
    buffer = io.BytesIO()
    Image.new("RGBA", (32, 32), (9, 9, 9, 0)).save(buffer, "PNG")
    service.on("GET", RESULT_URL, httpx.Response(200, content=buffer.getvalue()))
    cutout = await cut(service, original(turned(3, (32, 32)), size=(32, 32)))
    assert image_of(cutout).getchannel("A").getbbox() is None


# --- what Freepik takes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "content_type"),
    [(picture(kind="WEBP"), "image/webp"), (b"\xff\xd8" + b"x" * 20_000_000, "image/jpeg")],
    ids=["webp", "too large"],
)
async def test_a_file_that_freepik_does_not_take_is_rejected_before_paying(
    service, data, content_type
):
    with pytest.raises(PhotoRejectedError, match="FREEPIK_INPUT=upload"):
        await cut(service, original(data, content_type))
    assert service.requests == []


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "minio.localhost"])
async def test_a_store_on_this_machine_is_told_before_paying(service, host):
    with pytest.raises(ProviderError, match="FREEPIK_INPUT=upload") as caught:
        await cut(service, original(url=f"http://{host}/a.jpg"))
    assert caught.value.billed is Billed.NO
    assert not caught.value.retryable
    assert service.requests == []


# --- uploads -----------------------------------------------------------------------------

UPLOAD = "https://storage.example/put"
ASSET = "https://assets.example/asset-1"


@pytest.fixture
def uploads(service) -> Service:
    slot = {
        "file_id": "f",
        "upload_url": f"{UPLOAD}?sig=s",
        "headers": {"Content-Type": "image/jpeg", "x-goog-content-length-range": "0,20000000"},
        "asset_url": ASSET,
        "expires_in": 120,
    }
    service.on("POST", BASE + REQUEST_UPLOAD, httpx.Response(200, json={"files": [slot]}))
    service.on("PUT", UPLOAD, httpx.Response(200))
    return service


async def test_an_upload_sends_the_bytes_with_the_given_headers_and_without_the_key(uploads):
    photo = original()
    await cut(uploads, photo, input="upload")
    asked, put, post = uploads.requests[:3]
    assert asked.read() == b'{"files":[{"content_type":"image/jpeg"}]}'
    assert put.read() == photo.data
    assert put.headers["x-goog-content-length-range"] == "0,20000000"
    assert put.headers["content-type"] == "image/jpeg"
    assert KEY not in put.headers.values()
    assert parse_qs(post.content.decode()) == {"image_url": [ASSET]}


async def test_webp_is_converted_for_an_upload(uploads):
    await cut(uploads, original(picture(kind="WEBP"), "image/webp"), input="upload")
    sent = Image.open(io.BytesIO(uploads.requests[1].read()))
    assert (sent.format, sent.size) == ("JPEG", (40, 30))


async def test_a_see_through_webp_is_set_on_white(uploads):
    buffer = io.BytesIO()
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(buffer, "WEBP")
    await cut(uploads, original(buffer.getvalue(), "image/webp"), input="upload")
    sent = Image.open(io.BytesIO(uploads.requests[1].read()))
    assert sent.getpixel((5, 5)) == (255, 255, 255)


async def test_what_cannot_be_read_or_does_not_fit_is_rejected(uploads, monkeypatch):
    with pytest.raises(PhotoRejectedError, match="cannot be read"):
        await cut(uploads, original(b"no picture", "image/webp"), input="upload")
    small = InputLimits("Freepik", 50)
    monkeypatch.setattr("photopipe_dagster.providers.freepik.provider.INPUT", small)
    with pytest.raises(PhotoRejectedError, match="smaller"):
        await cut(uploads, original(), input="upload")
    assert uploads.requests == []


@pytest.mark.parametrize("reply", [httpx.Response(403), httpx.ReadTimeout("slow")])
async def test_a_failed_upload_buys_nothing(uploads, reply):
    uploads.on("PUT", UPLOAD, reply)
    with pytest.raises(ProviderError) as caught:
        await cut(uploads, input="upload")
    assert caught.value.billed is Billed.NO
    assert caught.value.retryable
    assert uploads.count("POST", REMOVE) == 0


async def test_an_upload_goes_nowhere_without_tls(uploads):
    slot = {"upload_url": "http://storage.example/put", "asset_url": ASSET}
    uploads.on("POST", BASE + REQUEST_UPLOAD, httpx.Response(200, json={"files": [slot]}))
    with pytest.raises(ProviderError, match="not https"):
        await cut(uploads, input="upload")
    assert uploads.count("PUT") == 0


def test_recipe_and_price():
    provider = Service().provider()
    assert provider.cutout_parameters() == {
        "api": "beta/remove-background",
        "output": "high_resolution",
    }
    assert str(provider.cutout_price()) == "0.02"
