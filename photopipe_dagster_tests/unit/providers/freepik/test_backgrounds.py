"""Backgrounds: what is asked for, how a task is followed, and what is resumed."""

import asyncio
import heapq
import json
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from photopipe_dagster.core.errors import Billed, ConfigurationError, ErrorCode, ProviderError
from photopipe_dagster.providers.base import ResultGoneError, StillRunningError
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.unit.providers.freepik.service import (
    BASE,
    KEY,
    PICTURE_URL,
    NotedPurchase,
    Service,
    picture,
    task,
    wanted,
)

MYSTIC = "/v1/ai/mystic"
TASK = f"{MYSTIC}/t-1"
NEW_URL = "https://cdn.example/fresh.png?token=2"


@pytest.fixture
def service() -> Service:
    service = Service()
    service.on("POST", BASE + MYSTIC, task("CREATED"))
    service.on(
        "GET", BASE + TASK, task("CREATED"), task("IN_PROGRESS"), task("COMPLETED", PICTURE_URL)
    )
    service.on("GET", PICTURE_URL, httpx.Response(200, content=picture(mode="RGB")))
    return service


async def make(service: Service, request=None, reference=None, **options):
    provider = service.provider(**options)
    purchase = NotedPurchase(service, reference)
    try:
        return await provider.generate_background(request or wanted(), purchase)
    finally:
        await provider.aclose()


async def test_the_purchase_is_told_before_the_first_poll_and_the_picture_fetched(service):
    background = await make(service)
    assert service.events == [
        f"POST {MYSTIC}",
        "submitted",
        "waits",
        f"GET {TASK}",
        f"GET {TASK}",
        f"GET {TASK}",
        "goes on",
        "GET /picture.png",
    ]
    assert background.data == picture(mode="RGB")
    assert background.content_type == "image/png"
    assert background.model == "freepik/mystic-realism"
    assert background.metadata["task_id"] == "t-1"
    assert KEY not in service.requests[-1].headers.values()
    assert len(service.time.slept) == 3
    assert all(1.5 <= pause <= 2.5 for pause in service.time.slept)


async def test_mystic_is_asked_in_its_own_words(service):
    await make(service)
    post = service.requests[0]
    assert post.headers["content-type"] == "application/json"
    assert post.headers["x-magnific-api-key"] == KEY
    assert json.loads(post.content) == {
        "prompt": THEMES["kitchen"].prompt,
        "model": "realism",
        "engine": "automatic",
        "resolution": "2k",
        "aspect_ratio": "standard_3_2",
        "filter_nsfw": True,
    }


async def test_a_jpeg_is_called_one_whatever_its_address_says(service):
    service.on("GET", PICTURE_URL, httpx.Response(200, content=picture(kind="JPEG", mode="RGB")))
    assert (await make(service)).content_type == "image/jpeg"


@pytest.mark.parametrize(
    ("size", "setting", "resolution", "price"),
    [
        ((1024, 1000), "auto", "1k", "0.05"),
        ((1025, 1000), "auto", "2k", "0.06"),
        ((1000, 2048), "auto", "2k", "0.06"),
        ((2049, 100), "auto", "4k", "0.10"),
        ((4000, 4000), "1k", "1k", "0.05"),
        ((100, 100), "4k", "4k", "0.10"),
    ],
)
def test_resolution_and_price_follow_the_size(size, setting, resolution, price):
    provider = Service().provider(resolution=setting)
    request = wanted(*size)
    assert provider.background_parameters(request)["resolution"] == resolution
    assert str(provider.background_price(request)) == price


@pytest.mark.parametrize(
    ("size", "model", "name"),
    [
        ((1000, 1000), "realism", "square_1_1"),
        ((1000, 1250), "realism", "traditional_3_4"),  # 4:5 has an uncertain spelling
        ((1250, 1000), "realism", "social_5_4"),
        ((4000, 1000), "realism", "smartphone_horizontal_20_9"),
        ((1000, 4000), "realism", "smartphone_vertical_9_20"),
        ((1000, 2000), "zen", "vertical_1_2"),
        ((1000, 2000), "fluid", "social_story_9_16"),
        ((1250, 1000), "fluid", "classic_4_3"),
    ],
)
def test_the_nearest_aspect_ratio_is_asked_for(size, model, name):
    provider = Service().provider(model=model)
    assert provider.background_parameters(wanted(*size))["aspect_ratio"] == name


def test_the_recipe_has_all_that_decides_the_look():
    provider = Service().provider(engine="magnific_sharpy", model="zen")
    assert provider.background_parameters(wanted()) == {
        "api": "mystic",
        "prompt": THEMES["kitchen"].prompt,
        "model": "zen",
        "engine": "magnific_sharpy",
        "resolution": "2k",
        "aspect_ratio": "standard_3_2",
    }


@pytest.mark.parametrize(
    ("option", "variable"),
    [
        ({"model": "mystic"}, "FREEPIK_MODEL"),
        ({"engine": "Illusio"}, "FREEPIK_ENGINE"),
        ({"api_url": "api.magnific.com"}, "FREEPIK_API_URL"),
        ({"api_url": "https://a:b"}, "FREEPIK_API_URL"),
    ],
)
def test_settings_that_cannot_work_name_their_variable(option, variable):
    with pytest.raises(ConfigurationError, match=variable):
        Service().provider(**option)


def test_a_resolution_that_mystic_does_not_know_names_its_variable():
    with pytest.raises(ValidationError, match="freepik_resolution"):
        Service().provider(resolution="8k")


# --- tasks that end otherwise ------------------------------------------------------------


async def test_a_failed_task_can_be_tried_again_and_may_have_cost_its_price(service):
    service.on("GET", BASE + TASK, task("FAILED"))
    with pytest.raises(ProviderError) as caught:
        await make(service)
    error = caught.value
    assert (error.code, error.retryable, error.billed) == (
        ErrorCode.BACKGROUND_ERROR,
        True,
        Billed.UNKNOWN,
    )
    assert not isinstance(error, StillRunningError)


async def test_a_picture_not_safe_for_work_was_billed_and_is_final(service):
    service.on("GET", BASE + TASK, task("COMPLETED", PICTURE_URL, nsfw=True))
    with pytest.raises(ProviderError, match="prompt") as caught:
        await make(service)
    error = caught.value
    assert (error.code, error.retryable, error.billed) == (
        ErrorCode.BACKGROUND_ERROR,
        False,
        Billed.YES,
    )
    assert service.count("GET", "/picture.png") == 0


async def test_a_completed_task_without_a_picture_was_billed(service):
    service.on("GET", BASE + TASK, task("COMPLETED"))
    with pytest.raises(ProviderError, match="delivers none") as caught:
        await make(service)
    assert caught.value.billed is Billed.YES


WHOLE = picture((400, 300), kind="JPEG", mode="RGB")


@pytest.mark.parametrize(
    "data",
    [b"<html>", picture(kind="WEBP"), b"", WHOLE[:-300], WHOLE[:-300] + WHOLE[-2:]],
    ids=["html", "webp", "nothing", "cut short", "pixels missing"],
)
async def test_a_background_that_is_no_picture_was_billed(service, data):
    service.on("GET", PICTURE_URL, httpx.Response(200, content=data))
    with pytest.raises(StillRunningError, match="It stays bought"):
        await make(service)
    with pytest.raises(ProviderError) as caught:
        await make(service, reference="t-1")
    assert not isinstance(caught.value, StillRunningError)
    assert caught.value.code is ErrorCode.BACKGROUND_ERROR
    assert caught.value.billed is Billed.YES


async def test_a_picture_too_large_to_decode_is_not_decoded(service, monkeypatch):
    monkeypatch.setattr("photopipe_dagster.providers.remote.pictures.MAX_RESULT_PIXELS", 100)
    with pytest.raises(ProviderError, match="more than 100 pixels"):
        await make(service)


async def test_null_lists_and_unknown_words_mean_not_yet(service):
    odd = {"data": {"task_id": "t-1", "status": "QUEUED", "generated": None, "has_nsfw": None}}
    service.on("GET", BASE + TASK, httpx.Response(200, json=odd), task("COMPLETED", PICTURE_URL))
    assert (await make(service)).content_type == "image/png"


# --- patience ----------------------------------------------------------------------------


async def test_a_task_that_takes_too_long_stays_bought_and_is_resumed(service):
    service.on("GET", BASE + TASK, task("IN_PROGRESS"))
    provider = service.provider(task_timeout_seconds=60)
    purchase = NotedPurchase(service)
    with pytest.raises(StillRunningError) as caught:
        await provider.generate_background(wanted(), purchase)
    assert caught.value.retryable
    assert 60 <= service.time.now < 65
    service.on("GET", BASE + TASK, task("COMPLETED", PICTURE_URL))
    background = await provider.generate_background(wanted(), purchase)
    assert background.metadata["resumed"] is True
    assert service.count("POST") == 1
    assert service.events.count("submitted") == 1


async def test_a_resumed_task_is_looked_at_without_waiting(service):
    service.on("GET", BASE + TASK, task("COMPLETED", PICTURE_URL))
    await make(service, reference="t-1")
    assert service.time.slept == []
    assert service.count("POST") == 0


async def test_a_new_task_may_be_unknown_for_a_moment(service):
    service.on("GET", BASE + TASK, httpx.Response(404), task("COMPLETED", PICTURE_URL))
    assert (await make(service)).content_type == "image/png"


@pytest.mark.parametrize(
    ("reply", "code", "retryable"),
    [
        (httpx.Response(401), ErrorCode.API_ERROR, False),
        (httpx.Response(429), ErrorCode.RATE_LIMIT_ERROR, True),
        (httpx.Response(500), ErrorCode.API_ERROR, True),
        (httpx.Response(200, content=b"{}"), ErrorCode.API_ERROR, False),
        (httpx.ReadTimeout("slow"), ErrorCode.NETWORK_ERROR, True),
        (httpx.ConnectError("refused"), ErrorCode.NETWORK_ERROR, True),
    ],
)
async def test_trouble_while_polling_leaves_the_purchase_open(service, reply, code, retryable):
    service.on("GET", BASE + TASK, reply)
    with pytest.raises(StillRunningError) as caught:
        await make(service)
    assert caught.value.code is code
    assert caught.value.retryable is retryable
    assert service.count("POST") == 1


async def test_polling_survives_a_short_trouble(service):
    service.on(
        "GET",
        BASE + TASK,
        httpx.Response(503),
        httpx.ReadError("cut"),
        task("COMPLETED", PICTURE_URL),
    )
    assert (await make(service)).content_type == "image/png"


async def test_a_reference_of_another_kind_cannot_leave_its_path(service):
    path = f"{MYSTIC}/..%2F..%2Fkeys%3Fall"
    service.on("GET", f"{BASE}{path}", httpx.Response(404))
    with pytest.raises(ResultGoneError):
        await make(service, reference="../../keys?all")
    assert service.requests[0].url.raw_path == path.encode()


# --- addresses that expire ---------------------------------------------------------------


async def test_an_expired_address_is_asked_for_once_more(service):
    service.on("GET", BASE + TASK, task("COMPLETED", PICTURE_URL), task("COMPLETED", NEW_URL))
    service.on("GET", PICTURE_URL, httpx.Response(403))
    service.on("GET", NEW_URL, httpx.Response(200, content=picture(mode="RGB")))
    background = await make(service, reference="t-1")
    assert background.data == picture(mode="RGB")


async def test_a_resumed_picture_whose_new_address_fails_too_is_gone(service):
    service.on("GET", BASE + TASK, task("COMPLETED", PICTURE_URL))
    service.on("GET", PICTURE_URL, httpx.Response(403))
    with pytest.raises(ResultGoneError):
        await make(service, reference="t-1")
    assert service.count("GET", TASK) == 2
    assert service.count("GET", "/picture.png") == 2


async def test_a_new_picture_that_is_not_there_stays_bought(service):
    service.on("GET", BASE + TASK, task("COMPLETED", PICTURE_URL))
    service.on("GET", PICTURE_URL, httpx.Response(404))
    with pytest.raises(StillRunningError):
        await make(service)


# --- speed -------------------------------------------------------------------------------


async def test_polls_and_repeated_requests_count_against_the_limit(service):
    service.on("POST", BASE + MYSTIC, httpx.Response(429, headers={"retry-after": "0"}), task("X"))
    service.on("GET", BASE + TASK, task("COMPLETED", PICTURE_URL))
    await make(service, requests_per_minute=6, poll_seconds=0.1)
    # Three requests to the API at one in ten seconds; the download is none.
    assert 20 <= service.time.now < 20.5


# --- many at once --------------------------------------------------------------------------------


class Painter:
    """Tasks that end when their time has come, by id and in the list, under a rate limit."""

    def __init__(self, service: Service, seconds: float, *, listed: int | None = None) -> None:
        self._time = service.time
        self._seconds = seconds
        self._listed = listed
        self._ends: dict[str, float] = {}
        service.on("POST", f"{BASE}{MYSTIC}", self.create)
        service.on("GET", f"{BASE}{MYSTIC}", self.listing)
        service.on("GET", PICTURE_URL, httpx.Response(200, content=picture(mode="RGB")))
        for number in range(60):
            service.on("GET", f"{BASE}{MYSTIC}/t-{number}", self.task)

    def create(self, _: httpx.Request) -> httpx.Response:
        name = f"t-{len(self._ends)}"
        self._ends[name] = self._time.now + self._seconds
        return httpx.Response(200, json={"data": {"task_id": name, "status": "CREATED"}})

    def status(self, name: str) -> str:
        return "COMPLETED" if self._time.now >= self._ends[name] else "IN_PROGRESS"

    def listing(self, _: httpx.Request) -> httpx.Response:
        tasks = [{"task_id": name, "status": self.status(name)} for name in self._ends]
        return httpx.Response(200, json={"data": tasks[: self._listed]})

    def task(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        done = {"generated": [PICTURE_URL], "has_nsfw": [False]}
        data = {"task_id": name, "status": self.status(name)}
        return httpx.Response(
            200, json={"data": data | done if data["status"] == "COMPLETED" else data}
        )


class SharedTime:
    """A time that passes when all wait: it goes on to the one who wakes first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        heapq.heappush(self._sleepers, (self.now + seconds, id(awake), awake))
        await awake.wait()

    async def pass_while(self, task: asyncio.Future[Any]) -> None:
        while not task.done():
            for _ in range(200):  # let everybody do what can be done now
                await asyncio.sleep(0)
            if self._sleepers and not task.done():
                self.now, _, awake = heapq.heappop(self._sleepers)
                awake.set()


async def paint_many(service: Service, photos: int, **options: Any) -> None:
    provider = service.provider(**options)
    purchases = [NotedPurchase(service) for _ in range(photos)]
    made = asyncio.gather(
        *(provider.generate_background(wanted(), purchase) for purchase in purchases)
    )
    await service.time.pass_while(made)
    assert len(await made) == photos
    assert len({purchase.reference for purchase in purchases}) == photos


def looks(service: Service) -> tuple[int, int]:
    """Requests for the list, and for single tasks."""
    single = sum(request.url.path.startswith(f"{MYSTIC}/") for request in service.requests)
    return service.count("GET", MYSTIC), single


async def test_many_backgrounds_are_looked_at_in_one_request(service):
    service.time = SharedTime()
    Painter(service, seconds=20)
    await paint_many(service, 40)
    lists, single = looks(service)
    assert single <= 41  # each once, when it is done; the last one is alone at the end
    assert lists <= 16


async def test_a_limit_of_requests_is_left_to_buy_with(service):
    """At 40 a minute, 40 backgrounds of 20 s take as long as buying and asking for each takes."""
    service.time = SharedTime()
    Painter(service, seconds=20)
    await paint_many(service, 40, requests_per_minute=40)
    lists, single = looks(service)
    assert single <= 44
    assert lists <= service.time.now / 6 + 1
    assert service.time.now <= 60 * (40 + single + lists) / 40 + 30


async def test_a_list_that_waits_long_for_its_turn_serves_all_who_wait_for_it(service):
    service.time = SharedTime()
    Painter(service, seconds=20)

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if (request.method, request.url.path) == ("GET", MYSTIC):
                await service.time.sleep(7)  # longer than a list is good for
            return service(request)

    await paint_many(service, 30, transport=Slow())
    lists, single = looks(service)
    assert lists <= 6
    assert single <= 32
    assert service.time.now <= 40


async def test_what_the_list_does_not_hold_is_looked_at_by_itself(service):
    service.time = SharedTime()
    Painter(service, seconds=20, listed=5)
    await paint_many(service, 8)
    assert looks(service)[1] > 8


@pytest.mark.parametrize("answer", [httpx.Response(404), httpx.Response(200, text="no JSON")])
async def test_where_the_list_is_refused_each_is_looked_at_by_itself(service, answer):
    service.time = SharedTime()
    Painter(service, seconds=20)
    service.on("GET", f"{BASE}{MYSTIC}", answer)
    await paint_many(service, 3)
    assert looks(service)[1] >= 3 * 8


async def test_one_background_alone_needs_no_list(service):
    service.time = SharedTime()
    Painter(service, seconds=20)
    await paint_many(service, 1)
    assert service.count("GET", MYSTIC) == 0
