"""What each refusal of a paid request means for the photo, the money and the log."""

import logging
import traceback

import httpx
import pytest

from photopipe_dagster.core.errors import Billed, ErrorCode, JobError, NetworkError, RateLimitError
from photopipe_dagster.providers.base import StillRunningError
from photopipe_dagster_tests.unit.providers.freepik.service import (
    BASE,
    CANARY,
    KEY,
    PHOTO_URL,
    PICTURE_URL,
    RESULT_URL,
    NotedPurchase,
    Service,
    cutout_urls,
    original,
    picture,
    task,
    wanted,
)

REMOVE = f"{BASE}/v1/ai/beta/remove-background"
MYSTIC = f"{BASE}/v1/ai/mystic"


@pytest.fixture(params=["cut-out", "background"])
def job(request):
    return request.param


async def do(job: str, provider, purchase: NotedPurchase) -> None:
    if job == "cut-out":
        await provider.remove_background(original(), purchase)
    else:
        await provider.generate_background(wanted(), purchase)


async def buy(service: Service, job: str, *replies) -> JobError:
    """Have both paid routes answer so, buy, and give back what went wrong."""
    service.on("POST", REMOVE, *replies)
    service.on("POST", MYSTIC, *replies)
    provider = service.provider()
    purchase = NotedPurchase(service)
    with pytest.raises(JobError) as caught:
        await do(job, provider, purchase)
    await provider.aclose()
    assert purchase.reference is None
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "retryable", "billed", "posts"),
    [
        (302, ErrorCode.API_ERROR, False, Billed.NO, 1),
        (400, "stage", False, Billed.NO, 1),
        (401, ErrorCode.API_ERROR, False, Billed.NO, 1),
        (402, ErrorCode.API_ERROR, False, Billed.NO, 1),
        (403, ErrorCode.API_ERROR, False, Billed.NO, 1),
        (404, ErrorCode.API_ERROR, False, Billed.NO, 1),
        (408, ErrorCode.API_ERROR, True, Billed.UNKNOWN, 1),
        (409, ErrorCode.API_ERROR, False, Billed.NO, 1),
        (422, "stage", False, Billed.NO, 1),
        (500, ErrorCode.API_ERROR, True, Billed.UNKNOWN, 1),
        (502, ErrorCode.API_ERROR, True, Billed.UNKNOWN, 1),
        (503, ErrorCode.API_ERROR, True, Billed.NO, 4),
        (504, ErrorCode.API_ERROR, True, Billed.UNKNOWN, 1),
    ],
)
async def test_refusals(job, status, code, retryable, billed, posts):
    service = Service()
    error = await buy(service, job, httpx.Response(status))
    if (job, status) == ("cut-out", 400):
        retryable = True  # it may only not have been able to fetch the photo
    if code == "stage":
        code = {
            "cut-out": ErrorCode.SEGMENTATION_ERROR,
            "background": ErrorCode.BACKGROUND_ERROR,
        }[job]
    assert (error.code, error.retryable, error.billed) == (code, retryable, billed)
    assert service.count("POST") == posts
    assert str(status) in error.message
    assert not isinstance(error, StillRunningError)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "FREEPIK_API_KEY"),
        (403, "FREEPIK_API_KEY"),
        (402, "top them up"),
        (404, "FREEPIK_API_URL"),
    ],
)
async def test_refusals_say_what_to_do(job, status, advice):
    assert advice in (await buy(Service(), job, httpx.Response(status))).message


async def test_429_to_the_end_is_a_rate_limit(job):
    service = Service()
    error = await buy(service, job, httpx.Response(429))
    assert isinstance(error, RateLimitError)
    assert service.count("POST") == 4


async def test_429_and_503_are_waited_out():
    service = Service()
    slow = httpx.Response(429, headers={"retry-after": "7"})
    service.on("POST", REMOVE, slow, httpx.Response(503), cutout_urls())
    service.on("GET", RESULT_URL, httpx.Response(200, content=picture()))
    await service.provider().remove_background(original(), NotedPurchase(service))
    assert service.count("POST") == 3
    assert service.time.slept[0] == 7


@pytest.mark.parametrize(
    "silence",
    [
        httpx.ReadTimeout("t"),
        httpx.WriteTimeout("t"),
        httpx.ReadError("e"),
        httpx.RemoteProtocolError("e"),
        httpx.DecodingError("e"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_paid_request_that_may_have_arrived_is_never_sent_twice(job, silence):
    service = Service()
    error = await buy(service, job, silence)
    assert service.count("POST") == 1
    assert (error.code, error.retryable, error.billed) == (
        ErrorCode.NETWORK_ERROR,
        True,
        Billed.UNKNOWN,
    )


@pytest.mark.parametrize("refused", [httpx.ConnectError("e"), httpx.ConnectTimeout("t")])
async def test_a_paid_request_that_never_left_is_repeated_and_not_billed(job, refused):
    service = Service()
    error = await buy(service, job, refused)
    assert isinstance(error, NetworkError)
    assert not error.sent
    assert service.count("POST") == 4


async def test_silence_after_a_refused_connection_is_not_repeated_either(job):
    service = Service()
    error = await buy(service, job, httpx.ConnectError("e"), httpx.ReadTimeout("t"))
    assert service.count("POST") == 2
    assert error.billed is Billed.UNKNOWN


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"{}", b'{"data": {"status": "CREATED"}}', b'{"high_resolution": ""}'],
)
async def test_an_answer_that_cannot_be_read_was_perhaps_billed_and_is_not_tried_again(
    job, content
):
    service = Service()
    error = await buy(service, job, httpx.Response(200, content=content))
    assert (error.code, error.retryable, error.billed) == (
        ErrorCode.API_ERROR,
        False,
        Billed.UNKNOWN,
    )
    assert service.count("POST") == 1


PROBLEM = {
    "message": "Your request parameters didn't validate.",
    "invalid_params": [
        {"name": "body.aspect_ratio", "reason": "value is not allowed"},
        {"name": "body.engine"},
    ],
}


@pytest.mark.parametrize("body", [PROBLEM, {"problem": PROBLEM}], ids=["unwrapped", "wrapped"])
async def test_problems_name_the_parameters(job, body):
    error = await buy(Service(), job, httpx.Response(400, json=body))
    assert "didn't validate (body.aspect_ratio: value is not allowed; body.engine)" in error.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "Parameter 'x' is not valid"}, "Parameter 'x' is not valid"),
        ({"invalid_params": [{"name": "x", "reason": "bad"}]}, "x: bad"),
        ({"message": "a\n\nb"}, "a b"),
        ({"message": "long " * 400}, "long long"),
        ({"message": {"odd": 1}}, ""),
        ([], ""),
    ],
)
async def test_messages_are_passed_on_in_one_short_line(job, body, said):
    error = await buy(Service(), job, httpx.Response(400, json=body))
    assert said in error.message
    assert "\n" not in error.message
    assert len(error.message) < 700
    assert error.details["status"] == 400


# --- secrets -----------------------------------------------------------------------------


def everything(error: BaseException) -> str:
    return "".join(
        [
            str(error),
            repr(error),
            repr(getattr(error, "details", "")),
            *traceback.format_exception(error),
        ]
    )


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(400, json={"message": f"cannot fetch {PHOTO_URL}"}),
        httpx.Response(
            400,
            json={"message": f"https%3A%2F%2Fother.example%2Fa%3Fsig%3D{CANARY}"},
        ),
        httpx.Response(
            422, json={"invalid_params": [{"name": "image_url", "reason": f"{PHOTO_URL} is bad"}]}
        ),
        httpx.Response(401, json={"message": f"Invalid API key {KEY}"}),
        httpx.Response(200, json={"high_resolution": [PICTURE_URL]}),
        httpx.Response(200, content=f"not JSON {PICTURE_URL}".encode()),
        httpx.ReadTimeout("t"),
        httpx.ConnectError("e"),
    ],
)
async def test_no_refusal_shows_a_secret(job, reply, caplog):
    with caplog.at_level(logging.DEBUG):
        error = await buy(Service(), job, reply)
    assert CANARY not in everything(error)
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, content=b"no picture"),
        httpx.Response(403),
        httpx.Response(418),
        httpx.Response(500),
        httpx.ReadTimeout("t"),
        httpx.Response(302, headers={"location": f"http://plain.example/?sig={CANARY}"}),
        httpx.Response(302, headers={"location": f"https://plain.example:x/?sig={CANARY}"}),
    ],
)
async def test_no_failed_download_shows_a_secret(job, reply, caplog):
    service = Service()
    service.on("POST", REMOVE, cutout_urls())
    service.on("POST", MYSTIC, task("CREATED"))
    service.on("GET", f"{MYSTIC}/t-1", task("COMPLETED", PICTURE_URL))
    service.on("GET", RESULT_URL, reply)
    service.on("GET", PICTURE_URL, reply)
    provider = service.provider()
    purchase = NotedPurchase(service)
    with caplog.at_level(logging.DEBUG), pytest.raises(JobError) as caught:
        await do(job, provider, purchase)
    assert purchase.reference is not None
    assert CANARY not in everything(caught.value)
    assert CANARY not in caplog.text


async def test_what_succeeds_shows_no_secret_either(caplog):
    service = Service()
    service.on("POST", REMOVE, cutout_urls())
    service.on("GET", RESULT_URL, httpx.Response(200, content=picture()))
    provider = service.provider()
    with caplog.at_level(logging.DEBUG):
        cutout = await provider.remove_background(original(), NotedPurchase(service))
    assert "HTTP Request" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in repr(provider) + str(provider) + repr(cutout)


async def test_a_refusal_that_repeats_only_the_signature_does_not_show_it():
    body = {"message": f"cannot fetch a.jpg with {PHOTO_URL.partition('?')[2]}"}
    error = await buy(Service(), "cut-out", httpx.Response(400, json=body))
    assert "cannot fetch a.jpg with [hidden]" in error.message
    assert CANARY not in everything(error)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
async def test_what_was_bought_is_read_also_with_a_byte_order_mark_and_half_an_emoji(mark):
    service = Service()
    answer = cutout_urls().content.rstrip()
    body = mark + answer[:-1] + rb', "note": "cut \ud83e"}'
    service.on("POST", REMOVE, httpx.Response(200, content=body))
    service.on("GET", RESULT_URL, httpx.Response(200, content=picture()))
    await service.provider().remove_background(original(), NotedPurchase(service))
    assert service.count("POST") == 1


async def test_a_refusal_cut_within_a_character_can_be_stored(job):
    body = b"\xef\xbb\xbf" + rb'{"message": "No robot \ud83e today"}'
    error = await buy(Service(), job, httpx.Response(400, content=body))
    assert "No robot ? today" in error.message.encode().decode()
