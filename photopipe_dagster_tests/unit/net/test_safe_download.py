import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from contextlib import aclosing

import httpx
import pytest

from photopipe_dagster.core.errors import NetworkError, PhotoRejectedError, RateLimitError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.client import Retry
from photopipe_dagster.net.safe_download import (
    Downloader,
    DownloadPolicy,
    is_public,
    resolve,
)

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 100
PUBLIC = "93.184.215.14"
URL = "https://photos.example/1.jpg?sig=hush"
POLICY = DownloadPolicy(max_bytes=10_000)


async def _no_wait(_: float) -> None:
    pass


def resolver_of(*answers: list[str]):
    """Gives these answers in turn, the last one for ever; remembers what it was asked."""
    left = list(answers)

    async def resolver(host, port):
        resolver.asked.append((host, port))
        return left.pop(0) if len(left) > 1 else left[0]

    resolver.asked = []
    return resolver


async def fetch(
    answer: Callable[[httpx.Request], httpx.Response],
    url=URL,
    policy=POLICY,
    resolver=None,
    attempts=2,
):
    downloader = Downloader(
        policy,
        transport=httpx.MockTransport(answer),
        resolver=resolver or resolver_of([PUBLIC]),
        retry=Retry(attempts=attempts, sleep=_no_wait),
    )
    async with aclosing(downloader):
        return await downloader.fetch(url)


def refuse(_: httpx.Request) -> httpx.Response:
    raise AssertionError("nothing may be sent")


# --- what arrives ------------------------------------------------------------------------


async def test_a_photo_arrives_from_the_address_that_was_checked():
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, content=JPEG, headers={"content-type": "image/jpeg"})

    resolver = resolver_of([PUBLIC])
    found = await fetch(answer, resolver=resolver)
    assert found == JPEG
    (request,) = seen
    assert request.url == f"https://{PUBLIC}/1.jpg?sig=hush"
    assert request.headers["host"] == "photos.example"
    assert request.headers["accept-encoding"] == "identity"
    assert request.extensions["sni_hostname"] == "photos.example"
    assert resolver.asked == [("photos.example", 443)]


async def test_ports_ipv6_and_unicode_hosts_are_kept():
    seen = []

    def answer(request):
        seen.append((str(request.url), request.headers["host"]))
        return httpx.Response(200, content=JPEG)

    resolver = resolver_of(["2606:4700::1111"])
    await fetch(answer, "https://bücher.example:8443/ä b.jpg", resolver=resolver)
    assert seen == [("https://[2606:4700::1111]:8443/%C3%A4%20b.jpg", "xn--bcher-kva.example:8443")]
    assert resolver.asked == [("xn--bcher-kva.example", 8443)]


async def test_the_next_address_is_tried_where_one_does_not_answer():
    def answer(request):
        if request.url.host == PUBLIC:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, content=JPEG)

    found = await fetch(answer, resolver=resolver_of([PUBLIC, "1.1.1.1"]), attempts=1)
    assert found == JPEG


async def test_no_cookie_reaches_another_host():
    cookies = []

    def answer(request):
        cookies.append(request.headers.get("cookie"))
        return httpx.Response(200, content=JPEG, headers={"set-cookie": "who=me"})

    transport = httpx.MockTransport(answer)
    downloader = Downloader(POLICY, transport=transport, resolver=resolver_of([PUBLIC]))
    async with aclosing(downloader):
        for host in ("a", "b"):
            await downloader.fetch(f"https://{host}.example/")
        assert not downloader._client.cookies
    assert cookies == [None, None]


# --- where it must not go ----------------------------------------------------------------

INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.0.9",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.175.48.1",
    "3fff::1",
    "3fff:fff::1",
    "2001:db8::1",
    "2001:1::1",
    "2001:20::1",
    "2620:4f:8000::1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:10.0.0.1",
    "::ffff:192.88.99.1",
    "64:ff9b::192.88.99.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "224.0.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        PUBLIC,
        "1.1.1.1",
        "192.88.98.1",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    ],
)
def test_addresses_of_the_internet_are_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_refused(address):
    for answers in ([address], [PUBLIC, address], [address, PUBLIC]):
        with pytest.raises(PhotoRejectedError, match="not on the public internet"):
            await fetch(refuse, resolver=resolver_of(answers))


@pytest.mark.parametrize("address", INSIDE)
async def test_an_address_inside_is_refused_before_anything_is_looked_up(address):
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(PhotoRejectedError, match="not on the public internet"):
        await fetch(refuse, f"https://{host}/", resolver=resolver_of([PUBLIC]))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
async def test_other_spellings_of_loopback_are_refused(host):
    with pytest.raises(PhotoRejectedError, match="not on the public internet"):
        await fetch(refuse, f"https://{host}/", resolver=resolve)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photo.jpg",
        "//photos.example/1.jpg",
        "https://",
        "https:///1.jpg",
        "ftp://photos.example/1.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "gopher://photos.example/",
        "https://photos.example:99999/",
        "https://[::1/",
        "https://xn--a/",
        "http:127.0.0.1:4010/1.jpg",
        "https://\x00/",
        "https://photos.example/\n1.jpg",
        "https://user@photos.example/1.jpg",
        "https://user:word@photos.example/1.jpg",
        "https://:word@photos.example/1.jpg",
    ],
)
async def test_what_is_no_proper_url_is_refused(url):
    with pytest.raises(PhotoRejectedError) as caught:
        await fetch(refuse, url)
    assert "word@" not in caught.value.message


@pytest.mark.parametrize("host", ["a..b.example", "x" * 70 + ".example"])
async def test_a_host_that_cannot_be_a_name_is_no_crash(host):
    with pytest.raises((PhotoRejectedError, NetworkError)):
        await fetch(refuse, f"https://{host}/", resolver=resolve)


async def test_a_name_that_changes_its_mind_gains_nothing():
    """DNS rebinding: public when it is checked, loopback a moment later."""
    hosts = []

    def answer(request):
        hosts.append(request.url.host)
        return httpx.Response(200, content=JPEG)

    resolver = resolver_of([PUBLIC], ["127.0.0.1"])
    await fetch(answer, resolver=resolver)
    assert hosts == [PUBLIC]
    assert len(resolver.asked) == 1


async def test_a_retry_checks_again():
    def answer(_):
        raise httpx.ReadError("gone")

    with pytest.raises(PhotoRejectedError, match="not on the public internet"):
        await fetch(answer, resolver=resolver_of([PUBLIC], ["127.0.0.1"]))


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/secret",
        "https://inside.example/",
        "http://photos.example/plain",
        "https://user:word@photos.example/",
        "file:///etc/passwd",
        "https://photos.example:99999/",
        None,
    ],
)
async def test_a_redirect_is_checked_as_the_first_address_was(location):
    hosts = []

    def answer(request):
        hosts.append(request.headers["host"])
        return httpx.Response(302, headers={"location": location} if location else {})

    async def resolver(host, _):
        return ["10.1.2.3"] if host == "inside.example" else [PUBLIC]

    with pytest.raises(PhotoRejectedError):
        await fetch(answer, resolver=resolver)
    assert hosts == ["photos.example"]


@pytest.mark.parametrize(
    "location", ["https://[::1/", "http:127.0.0.1:4010/x", "http:127.0.0.1:4010", "https://xn--a/"]
)
async def test_a_redirect_to_no_url_is_an_error(location):
    moved = httpx.Response(302, headers={"location": location})
    with pytest.raises(NetworkError, match="RemoteProtocolError"):
        await fetch(lambda _: moved)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_three_redirects_are_followed_and_no_fourth(status):
    asked = []

    def answer(request):
        asked.append(f"https://{request.headers['host']}{request.url.path}")
        left = int(request.url.path[1:])
        if not left:
            return httpx.Response(200, content=JPEG)
        return httpx.Response(status, headers={"location": f"/{left - 1}"})

    assert await fetch(answer, "https://photos.example/3") == JPEG
    assert asked[-1] == "https://photos.example/0"
    with pytest.raises(PhotoRejectedError, match="more than 3 times"):
        await fetch(answer, "https://photos.example/4")


async def test_plain_http_is_for_development():
    def answer(_):
        return httpx.Response(200, content=JPEG)

    with pytest.raises(PhotoRejectedError, match="must be https"):
        await fetch(refuse, "http://photos.example/1.jpg")
    relaxed = DownloadPolicy(max_bytes=10_000, https_only=False)
    resolver = resolver_of([PUBLIC])
    assert (await fetch(answer, "http://photos.example/", relaxed, resolver)) == JPEG
    assert resolver.asked == [("photos.example", 80)]
    with pytest.raises(PhotoRejectedError, match="not on the public internet"):
        await fetch(refuse, "http://127.0.0.1/", relaxed)


@pytest.mark.parametrize(
    ("allowed", "url", "trusted"),
    [
        ("photos.internal", "http://photos.internal:8080/1.jpg", True),
        ("photos.internal", "http://PHOTOS.internal/1.jpg", True),
        ("photos.internal:8080", "http://photos.internal:8080/1.jpg", True),
        ("photos.internal:443", "https://photos.internal/1.jpg", True),
        ("photos.internal:80", "http://photos.internal/1.jpg", True),
        ("127.0.0.1:4010", "http://127.0.0.1:4010/1.jpg", True),
        ("[::1]:4010", "http://[::1]:4010/1.jpg", True),
        ("[::1]", "http://[::1]:4010/1.jpg", True),
        ("photos.internal:8080", "http://photos.internal/1.jpg", False),
        ("photos.internal:8080", "http://photos.internal:8081/1.jpg", False),
        ("photos.internal", "http://x.photos.internal/1.jpg", False),
        ("photos.internal", "http://photos.internal.example/1.jpg", False),
        ("127.0.0.1:4010", "http://127.0.0.1:4011/1.jpg", False),
    ],
)
async def test_only_listed_hosts_may_be_private_and_plain(allowed, url, trusted):
    def answer(_):
        return httpx.Response(200, content=JPEG)

    policy = DownloadPolicy(max_bytes=10_000, allowed_hosts=frozenset({allowed}))
    resolver = resolver_of(["10.0.0.7"])
    if trusted:
        assert (await fetch(answer, url, policy, resolver)) == JPEG
    else:
        with pytest.raises(PhotoRejectedError):
            await fetch(refuse, url, policy, resolver)


def test_the_policy_comes_from_the_settings(tmp_path):
    shared = {"_env_file": None, "data_dir": tmp_path, "image_max_bytes": 7}
    development = DownloadPolicy.from_settings(
        Settings(image_url_allowed_hosts="Photos.Internal, other:80", **shared)
    )
    assert development.allowed_hosts == {"photos.internal", "other:80"}
    assert not development.https_only
    assert development.max_bytes == 7
    production = DownloadPolicy.from_settings(
        Settings(PHOTOPIPE_ENV="production", threejms_webhook_secret="s" * 12, **shared)
    )
    assert production.https_only


# --- what goes wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 204, 304])
async def test_a_refusal_is_final(status):
    calls = []

    def answer(request):
        calls.append(request)
        return httpx.Response(status)

    with pytest.raises(PhotoRejectedError, match=str(status)) as caught:
        await fetch(answer)
    assert len(calls) == 1
    assert "hush" not in caught.value.message
    assert caught.value.details == {"status": status}


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, NetworkError), (502, NetworkError), (507, NetworkError), (429, RateLimitError)],
)
async def test_what_may_pass_is_tried_again_and_retryable_in_the_end(status, error):
    calls = []

    def answer(request):
        calls.append(request)
        return httpx.Response(status)

    with pytest.raises(error, match=str(status)) as caught:
        await fetch(answer, attempts=3)
    assert len(calls) == 3
    assert caught.value.retryable
    assert "hush" not in caught.value.message


async def test_retry_after_is_respected():
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    answers = [httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(200, content=JPEG)]
    downloader = Downloader(
        POLICY,
        transport=httpx.MockTransport(lambda _: answers.pop(0)),
        resolver=resolver_of([PUBLIC]),
        retry=Retry(sleep=sleep),
    )
    async with aclosing(downloader):
        assert await downloader.fetch(URL) == JPEG
    assert waits == [7.0]


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadTimeout, httpx.RemoteProtocolError],
)
async def test_no_answer_is_a_network_error(error):
    def answer(_):
        raise error("sig=hush")

    with pytest.raises(NetworkError, match=error.__name__) as caught:
        await fetch(answer)
    assert "hush" not in caught.value.message


async def test_a_host_that_is_unknown_is_a_network_error():
    async def resolver(*_):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(NetworkError, match=r"photos\.example cannot be looked up") as caught:
        await fetch(refuse, resolver=resolver)
    assert not caught.value.sent
    with pytest.raises(NetworkError):
        await fetch(refuse, resolver=resolver_of([]))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "HTML"),
        (b"\n  <html lang=en>", "HTML"),
        (b"\xef\xbb\xbf<HTML>", "HTML"),
        (b'<?xml version="1.0"?><Error/>', "XML or JSON"),
        (b"<svg/>", "XML or JSON"),
        (b'{"detail": "not here"}', "XML or JSON"),
        (b"", "an empty file"),
        (b"  \r\n", "an empty file"),
    ],
)
async def test_what_is_no_picture_is_told(body, words):
    with pytest.raises(PhotoRejectedError, match=words):
        await fetch(lambda _: httpx.Response(200, content=body))


@pytest.mark.parametrize(
    "values",
    [
        [""],
        ["identity"],
        ["identity", "Identity"],
        ["aws-chunked"],
        ["aws-chunked,identity"],
        ["UTF-8"],
        ["utf8"],
        ["none"],
        ["base64"],
        ["binary, 8bit"],
        ["ISO-8859-1"],
        ["image/jpeg"],
        ["gzipped"],
        [" , "],
        ["\xe9"],
    ],
)
async def test_a_content_encoding_that_is_no_coding_leaves_the_photo_as_it_is(values):
    headers = [("Content-Encoding", value.encode("latin-1")) for value in values]
    answer = httpx.Response(200, headers=headers, stream=httpx.ByteStream(JPEG))
    assert await fetch(lambda _: answer) == JPEG


@pytest.mark.parametrize(
    "coding", ["gzip", "GZip", "x-gzip", "br", "deflate", "zstd", "compress", "aws-chunked,gzip"]
)
async def test_a_compressed_answer_is_refused(coding):
    headers = {"content-encoding": coding}
    with pytest.raises(PhotoRejectedError, match="compressed"):
        await fetch(
            lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"bomb"))
        )


async def test_a_long_body_is_not_read_to_its_end():
    sent = []

    async def endless():
        while True:
            sent.append(1)
            yield b"\xff" * 1000

    with pytest.raises(PhotoRejectedError, match="more than 10000 bytes"):
        await fetch(lambda _: httpx.Response(200, content=endless()))
    assert len(sent) == 11


async def test_a_declared_length_that_is_too_long_is_refused_unread():
    async def unread():
        raise AssertionError("nothing may be read")
        yield b""

    headers = {"content-length": "10001"}
    with pytest.raises(PhotoRejectedError, match="IMAGE_MAX_BYTES"):
        await fetch(lambda _: httpx.Response(200, headers=headers, content=unread()))
    longest = JPEG.ljust(10_000, b"\0")
    assert (await fetch(lambda _: httpx.Response(200, content=longest))) == longest


async def test_the_whole_download_has_a_time_limit():
    async def slow(_):
        await asyncio.Event().wait()

    policy = DownloadPolicy(max_bytes=10_000, total_seconds=0.01)
    transport = httpx.MockTransport(slow)
    async with aclosing(
        Downloader(policy, transport=transport, resolver=resolver_of([PUBLIC]))
    ) as downloader:
        with pytest.raises(NetworkError, match=r"within 0\.01 seconds") as caught:
            await downloader.fetch(URL)
    assert "hush" not in caught.value.message


# --- over real connections ---------------------------------------------------------------


class Server:
    """A server on loopback that answers each connection with the next of its raw answers."""

    def __init__(self, *answers: bytes):
        self.answers = list(answers)
        self.requests = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answers.pop(0))
        await writer.drain()
        writer.close()


def whole(data: bytes, length: int | None = None) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length or len(data)}\r\n\r\n"
    return head.encode() + data


async def real_fetch(server, tmp_path, path="/1.jpg?sig=hush", resolver=resolve):
    settings = Settings(_env_file=None, data_dir=tmp_path, image_url_allowed_hosts=[server.host])
    policy, retry = DownloadPolicy.from_settings(settings), Retry(attempts=2, sleep=_no_wait)
    async with aclosing(Downloader(policy, resolver=resolver, retry=retry)) as downloader:
        return await downloader.fetch(f"http://{server.host}{path}")


async def test_a_listed_loopback_server_is_downloaded_from(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG, logger="photopipe_dagster"):
        async with Server(whole(JPEG)) as server:
            assert await real_fetch(server, tmp_path) == JPEG
    (request,) = server.requests
    assert request.startswith(b"GET /1.jpg?sig=hush HTTP/1.1\r\n")
    assert f"Host: {server.host}\r\n".encode() in request


async def test_a_transfer_that_breaks_off_is_tried_again(tmp_path):
    async with Server(whole(JPEG[:50], len(JPEG)), whole(JPEG)) as server:
        assert await real_fetch(server, tmp_path) == JPEG
    async with Server(*[whole(JPEG[:50], len(JPEG))] * 2) as server:
        with pytest.raises(NetworkError, match="did not answer completely") as caught:
            await real_fetch(server, tmp_path)
    assert caught.value.retryable
    assert "hush" not in caught.value.message


async def test_a_length_that_is_not_kept_is_a_network_error():
    headers = {"content-length": "999"}
    with pytest.raises(NetworkError, match="after 704 of 999 bytes") as caught:
        await fetch(lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(JPEG)))
    assert caught.value.details == {"received": 704, "expected": 999}


async def test_a_listed_server_cannot_redirect_inside(tmp_path):
    async with Server(b"") as inside:
        moved = (
            f"HTTP/1.1 302 Found\r\nLocation: http://{inside.host}/\r\nContent-Length: 0\r\n\r\n"
        )
        async with Server(moved.encode()) as server:
            with pytest.raises(PhotoRejectedError, match="not on the public internet"):
                await real_fetch(server, tmp_path)
    assert inside.requests == []


async def test_nobody_listening_is_a_network_error(tmp_path):
    async with Server() as server:
        pass
    with pytest.raises(NetworkError, match="ConnectError") as caught:
        await real_fetch(server, tmp_path)
    assert not caught.value.sent
