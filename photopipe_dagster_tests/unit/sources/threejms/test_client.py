import json
from datetime import UTC, datetime

import httpx
import pytest

from photopipe_dagster.core.errors import ConfigurationError, NetworkError, RateLimitError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.client import Retry
from photopipe_dagster.sources.base import Announcement, Malformed
from photopipe_dagster.sources.threejms.client import ThreeJmsClient

SINCE = datetime(2026, 11, 1, 12, tzinfo=UTC)


async def _no_wait(_: float) -> None:
    pass


def photo(number: int) -> dict[str, str]:
    return {
        "sku": f"S{number}",
        "url": f"https://photos.example/{number}.jpg",
        "sha256": f"{number:064x}",
    }


def client_for(settings, answer):
    return ThreeJmsClient(settings, httpx.MockTransport(answer), retry=Retry(sleep=_no_wait))


async def listed(settings, answer, since=SINCE):
    async with client_for(settings, answer) as client:
        return [page async for page in client.list_since(since)]


def skus(pages):
    return [[entry.sku for entry in page] for page in pages]


async def test_pages_are_asked_for_until_next_is_null(settings):
    asked = []

    def answer(request):
        asked.append(request)
        number = int(request.url.params["page"])
        following = f"https://inventory.example/base/photos?page={number + 1}&token=t"
        results = [photo(2 * number), photo(2 * number + 1)]
        return httpx.Response(
            200, json={"results": results, "next": following if number < 3 else None}
        )

    assert skus(await listed(settings, answer)) == [["S2", "S3"], ["S4", "S5"], ["S6", "S7"]]
    assert [str(request.url) for request in asked] == [
        "https://inventory.example/base/photos?page=1&page_size=2&since=2026-11-01T12%3A00%3A00Z",
        "https://inventory.example/base/photos?page=2&token=t",
        "https://inventory.example/base/photos?page=3&token=t",
    ]
    assert {request.headers["authorization"] for request in asked} == {"Token key-of-a-test"}


async def test_without_a_moment_everything_is_asked_for(settings):
    def answer(request):
        assert "since" not in request.url.params
        return httpx.Response(200, json={"results": [], "next": None})

    assert await listed(settings, answer, since=None) == [[]]


@pytest.mark.parametrize(
    "following",
    [
        "https://elsewhere.example/base/photos?page=2",
        "http://inventory.example/base/photos?page=2",
        "https://user:word@inventory.example/base/photos?page=2",
        "https://inventory.example:8443/base/photos?page=2",
        "https://[broken/",
        True,
        2,
    ],
)
async def test_the_key_is_never_sent_to_another_server(settings, following):
    hosts = []

    def answer(request):
        hosts.append((request.url.scheme, request.url.host, request.url.port))
        number = int(request.url.params["page"])
        assert request.url.params["since"] == "2026-11-01T12:00:00Z"
        return httpx.Response(
            200, json={"results": [photo(number)], "next": following if number == 1 else None}
        )

    assert skus(await listed(settings, answer)) == [["S1"], ["S2"]]
    assert set(hosts) == {("https", "inventory.example", None)}


async def test_a_relative_next_is_followed(settings):
    def answer(request):
        last = request.url.params["page"] == "2"
        return httpx.Response(
            200, json={"results": [photo(1)], "next": None if last else "?page=2&page_size=2"}
        )

    assert len(await listed(settings, answer)) == 2


@pytest.mark.parametrize("ending", ["404", "empty", "the same again"])
@pytest.mark.parametrize("plain", [True, False])
async def test_where_there_is_no_next_the_listing_ends(settings, ending, plain):
    def answer(request):
        number = int(request.url.params["page"])
        results = [photo(number)]
        if number == 3:
            if ending == "404":
                return httpx.Response(404, json={"detail": "Invalid page."})
            results = [] if ending == "empty" else [photo(2)]
        return httpx.Response(200, json=results if plain else {"results": results})

    pages = [page for page in await listed(settings, answer) if page]
    assert skus(pages) == [["S1"], ["S2"]]


async def test_what_is_malformed_does_not_stop_the_rest(settings):
    def answer(_):
        return httpx.Response(200, json={"results": [{"sku": 7}, photo(1), None], "next": None})

    (page,) = await listed(settings, answer)
    assert isinstance(page[0], Malformed)
    assert page[1].sku == "S1"
    assert isinstance(page[2], Malformed)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_says_which_variable_to_set(settings, status):
    with pytest.raises(ConfigurationError, match="THREEJMS_API_KEY") as caught:
        await listed(settings, lambda _: httpx.Response(status))
    assert "key-of-a-test" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (httpx.Response(404), ConfigurationError, "THREEJMS_PHOTOS_PATH"),
        (httpx.Response(400), ConfigurationError, "400"),
        (httpx.Response(301, headers={"location": "/x"}), ConfigurationError, "301"),
        (httpx.Response(429), RateLimitError, "slow down"),
        (httpx.Response(503), NetworkError, "503"),
        (httpx.Response(200, text="<html>"), NetworkError, "no listing"),
        (httpx.Response(200, json={"photos": []}), NetworkError, "no listing"),
        (httpx.Response(200, json=7), NetworkError, "no listing"),
        (httpx.Response(200, text="[" * 100_000), NetworkError, "no listing"),
    ],
)
async def test_every_other_answer_says_what_to_do(settings, answer, error, words):
    with pytest.raises(error, match=words):
        await listed(settings, lambda _: answer)


async def test_a_body_that_cannot_be_unpacked_is_an_error(settings):
    def answer(_):
        headers = {"content-encoding": "gzip"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"not gzip"))

    with pytest.raises(NetworkError):
        await listed(settings, answer)


async def test_what_passes_is_tried_again(settings):
    answers = [httpx.Response(500), httpx.Response(429, headers={"retry-after": "1"})]

    def answer(_):
        if answers:
            return answers.pop()
        return httpx.Response(200, json={"results": [photo(1)], "next": None})

    assert skus(await listed(settings, answer)) == [["S1"]]


async def test_a_listing_that_loops_is_an_error(settings):
    def answer(request):
        page = "2" if request.url.params["page"] == "1" else "1"
        results = [photo(1)]
        url = f"https://inventory.example/base/photos?page={page}"
        return httpx.Response(200, json={"results": results, "next": url})

    with pytest.raises(NetworkError, match="loop"):
        await listed(settings, answer)


async def test_a_listing_without_end_is_an_error(settings, monkeypatch):
    monkeypatch.setattr("photopipe_dagster.sources.threejms.client.MAX_PAGES", 5)

    def answer(request):
        return httpx.Response(200, json=[photo(int(request.url.params["page"]))])

    with pytest.raises(NetworkError, match="5 pages"):
        await listed(settings, answer)


@pytest.mark.parametrize("url", [None, "inventory.example", "ftp://inventory.example"])
def test_polling_needs_a_base_url(tmp_path, url):
    settings = Settings(_env_file=None, data_dir=tmp_path, threejms_api_url=url)
    with pytest.raises(ConfigurationError, match="THREEJMS_API_URL"):
        ThreeJmsClient(settings)


async def test_scheme_path_and_absent_key_are_configurable(tmp_path):
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, content=json.dumps([]))

    for scheme, key in (("Bearer", "k"), ("", "k"), ("Token", None)):
        settings = Settings(
            _env_file=None,
            data_dir=tmp_path,
            threejms_api_url="https://inventory.example/",
            threejms_photos_path="/api/v1/photos",
            threejms_auth_scheme=scheme,
            threejms_api_key=key,
        )
        await listed(settings, answer)
    assert [request.headers.get("authorization") for request in seen] == ["Bearer k", "k", None]
    assert {request.url.path for request in seen} == {"/api/v1/photos"}


# --- JSON as other programs write it -----------------------------------------------------------


def listing(*entries: dict) -> bytes:
    return json.dumps({"results": entries, "next": None}).encode()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
async def test_a_byte_order_mark_before_a_listing_is_ignored(settings, encoding):
    body = listing(photo(1)).decode().encode(encoding)
    assert skus(await listed(settings, lambda _: httpx.Response(200, content=body))) == [["S1"]]


@pytest.mark.parametrize(
    "cut",
    [rb"Robot \ud83e", b"Robot \xf0\x9f", b"M\xfcller"],
    ids=["within an emoji", "within UTF-8", "of another encoding"],
)
async def test_a_text_cut_within_a_character_costs_its_entry_at_most(settings, cut):
    entries = [photo(1), photo(2) | {"title": "CUT", "CUT": "CUT"}, photo(3) | {"sku": "CUT"}]
    body = listing(*entries, photo(4)).replace(b"CUT", cut)
    (page,) = await listed(settings, lambda _: httpx.Response(200, content=body))
    assert [entry.sku for entry in page if isinstance(entry, Announcement)] == ["S1", "S2", "S4"]
    assert page[2].reason == "Invalid announcement: sku: is cut within a character."
    json.dumps(page[2].shown, ensure_ascii=False).encode()
