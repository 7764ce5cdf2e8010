"""The one loop that repeats requests, and what the HTTP client writes into the log."""

import logging

import httpx
import pytest

from photopipe_dagster.core.errors import NetworkError
from photopipe_dagster.net.client import Again, Retry, hide_queries, new_client, send


class Script:
    """Attempts that come to what a list says, one after another."""

    def __init__(self, *outcomes: object) -> None:
        self._outcomes = list(outcomes)
        self.numbers: list[int] = []
        self.slept: list[float] = []

    async def attempt(self, number: int) -> object:
        self.numbers.append(number)
        return self._outcomes.pop(0)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_an_answer_ends_it():
    script = Script(Again("busy"), "done")
    assert await Retry(sleep=script.sleep).run(script.attempt) == "done"
    assert script.numbers == [1, 2]
    assert len(script.slept) == 1


async def test_the_last_attempt_gives_its_answer_without_a_wait():
    script = Script(Again("busy"), Again("still busy"))
    assert await Retry(attempts=2, sleep=script.sleep).run(script.attempt) == "still busy"
    assert len(script.slept) == 1


async def test_the_last_attempt_raises_its_error_with_its_cause():
    error = ConnectionError("no answer")
    error.__cause__ = OSError("no route")
    script = Script(Again(error))
    with pytest.raises(ConnectionError) as caught:
        await Retry(attempts=1, sleep=script.sleep).run(script.attempt)
    assert isinstance(caught.value.__cause__, OSError)
    assert script.slept == []


async def test_an_exception_is_not_repeated():
    calls = []

    async def attempt(number: int) -> object:
        calls.append(number)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        await Retry().run(attempt)
    assert calls == [1]


async def test_a_response_says_how_long_to_wait_up_to_the_cap():
    asked = [httpx.Response(503, headers={"retry-after": value}) for value in ("7", "900")]
    script = Script(*(Again("busy", response) for response in asked), "done")
    await Retry(sleep=script.sleep).run(script.attempt)
    assert script.slept == [7, 30]


async def test_logged_requests_show_no_query(caplog):
    hide_queries()
    hide_queries()
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with caplog.at_level(logging.INFO, logger="httpx"):
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("https://u:pw@bucket.example/a/b.png?X-Signature=CANARY#f")
    assert "https://bucket.example/a/b.png" in caplog.text
    assert "CANARY" not in caplog.text
    assert "pw" not in caplog.text
    assert len(logging.getLogger("httpx").filters) == 1


@pytest.mark.parametrize(
    "location",
    [
        "http:127.0.0.1:4010",
        "http:x",
        "https://xn--a/",
        "https://[::1/",
        "\x00",
        "mailto:x",
    ],
)
@pytest.mark.parametrize("safe", [True, False])
async def test_a_redirect_to_no_url_is_a_network_error(location, safe):
    moved = httpx.Response(302, headers={"location": location})
    async with new_client(transport=httpx.MockTransport(lambda _: moved)) as client:
        request = client.build_request("GET", "https://service.example/")
        with pytest.raises(NetworkError) as caught:
            await send(client, request, safe=safe, service="It", retry=Retry(attempts=1))
    assert caught.value.sent


@pytest.mark.parametrize("location", ["/x", "x", "//b.example", "https:///x", "?q", "https://b/"])
async def test_any_other_redirect_is_an_answer(location):
    moved = httpx.Response(302, headers={"location": location})
    async with new_client(transport=httpx.MockTransport(lambda _: moved)) as client:
        request = client.build_request("GET", "https://service.example/")
        assert (await send(client, request, safe=True, service="It")).status_code == 302
