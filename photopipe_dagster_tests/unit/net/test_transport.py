"""What the transport makes of a network that does not behave, over real sockets.

The difference that counts is whether a request may have arrived: a paid one that may have is never
sent again.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing

import httpx
import pytest

from photopipe_dagster.net.client import direct_network, network, tls
from photopipe_dagster.net.transport import AiohttpTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PATIENCE = httpx.Timeout(connect=2, read=0.3, write=0.3, pool=0.3)


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[str]:
    """A server that does what the script says with each connection; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def client(**options: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=network(), timeout=PATIENCE, **options)


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await head_of(reader)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await head_of(reader)
    linger = b"\x01\0\0\0\0\0\0\0"  # close with RST
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await head_of(reader)
    await asyncio.sleep(2)


def saying(answer: bytes) -> Script:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(answer)
        await writer.drain()

    return say


def stalling_after(answer: bytes) -> Script:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(answer)(reader, writer)
        await asyncio.sleep(2)

    return stall


MAY_HAVE_ARRIVED = {
    "closed without an answer": (hang_up, httpx.RemoteProtocolError),
    "reset without an answer": (reset, httpx.TransportError),
    "no answer in time": (say_nothing, httpx.ReadTimeout),
    "body that ends early": (
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        httpx.RemoteProtocolError,
    ),
    "chunk that ends early": (
        saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"),
        httpx.RemoteProtocolError,
    ),
    "body that stalls": (
        stalling_after(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        httpx.ReadTimeout,
    ),
    "broken chunks": (
        stalling_after(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX\r\nzz\r\n"
        ),
        httpx.TransportError,
    ),
    "no HTTP": (saying(b"220 mail.example ESMTP\r\n\r\n"), httpx.RemoteProtocolError),
    "half a head": (saying(b"HTTP/1.1 200 OK\r\nContent-"), httpx.RemoteProtocolError),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", MAY_HAVE_ARRIVED)
async def test_what_may_have_arrived_is_no_error_of_connecting(name, method):
    script, expected = MAY_HAVE_ARRIVED[name]
    async with server(script) as url, client() as http:
        with pytest.raises(expected) as caught:
            await http.request(method, f"{url}/?signature=CANARY", content=b"x")
    assert not isinstance(caught.value, httpx.ConnectError | httpx.ConnectTimeout)
    assert "CANARY" not in str(caught.value)
    assert caught.value.__suppress_context__  # aiohttp's message has the whole URL


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("end", [hang_up, reset])
async def test_a_request_is_sent_once_whatever_happens(method, end):
    connections = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await end(reader, writer)

    async with server(count) as url, client() as http:
        with pytest.raises(httpx.TransportError):
            await http.request(method, url, content=b"x")
    assert len(connections) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_on_a_connection_that_was_closed_meanwhile_is_not_sent_again(method):
    heads = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and hang up on the second one of the same connection."""
        heads.append(await head_of(reader))
        writer.write(OK)
        await writer.drain()
        heads.append(await head_of(reader))

    async with server(once) as url, client() as http:
        assert (await http.request(method, url)).text == "ok"
        with pytest.raises(httpx.RemoteProtocolError):
            await http.request(method, url)
    assert len(heads) == 2


async def test_nobody_listens():
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with client() as http:
        with pytest.raises(httpx.ConnectError):
            await http.post(f"http://127.0.0.1:{port}/")


async def test_a_host_that_does_not_exist():
    async with client() as http:
        with pytest.raises(httpx.ConnectError):
            await http.post("http://nobody.invalid/")


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
async def test_a_host_that_no_name_can_be(host):
    async with client() as http:
        with pytest.raises(httpx.ConnectError):
            await http.post(f"http://{host}/")


async def test_tls_with_somebody_who_speaks_none():
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()

    async with server(greet) as url, client() as http:
        with pytest.raises(httpx.ConnectError):
            await http.post(url.replace("http:", "https:"))


async def test_no_free_connection_is_an_error_of_connecting():
    limits = httpx.Limits(max_connections=1)
    transport = AiohttpTransport(verify=tls(), limits=limits)
    timeouts = httpx.Timeout(connect=0.1, read=5, write=5, pool=0.1)
    async with (
        server(say_nothing) as url,
        httpx.AsyncClient(transport=transport, timeout=timeouts) as http,
    ):
        first = asyncio.create_task(http.get(url))
        await asyncio.sleep(0.05)
        with pytest.raises(httpx.ConnectTimeout):
            await http.post(url)
        first.cancel()


async def test_a_body_that_nobody_takes_is_given_up():
    async def take_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await asyncio.sleep(4)

    async with server(take_nothing) as url, client() as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(url, content=bytes(64 << 20))


async def test_requests_arrive_as_httpx_made_them():
    seen = bytearray()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await head_of(reader))
        length = int(seen.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        seen.extend(await reader.readexactly(length))
        writer.write(OK)
        await writer.drain()

    async with server(keep) as url, client(headers={"x-key": "k"}, cookies={"c": "1"}) as http:
        await http.post(
            f"{url}/a%2Fb?q=%20+%23",
            data={"one": "1"},
            files={"file": ("photo.jpg", b"bytes", "image/jpeg")},
        )
    head, _, body = bytes(seen).partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    names = [line.split(":")[0] for line in lines[1:]]
    assert lines[0].startswith("post /a%2fb?q=%20+%23 ")
    assert len(names) == len(set(names))
    assert {"host", "x-key", "content-length", "user-agent", "cookie"} <= set(names)
    assert "transfer-encoding" not in names
    assert "content-type: multipart/form-data" in head.decode().lower()
    assert body.endswith(b"--\r\n")
    assert b"\r\n\r\nbytes\r\n" in body


async def test_answers_are_read_as_httpx_reads_them():
    packed = gzip.compress(b"unpacked")
    head = (
        b"HTTP/1.1 429 Slow Down\r\nContent-Encoding: gzip\r\nRetry-After: 7\r\n"
        b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: %d\r\n\r\n" % len(packed)
    )
    async with server(saying(head + packed)) as url, client() as http:
        answer = await http.get(url)
    assert (answer.status_code, answer.reason_phrase) == (429, "Slow Down")
    assert answer.content == b"unpacked"
    assert answer.headers["retry-after"] == "7"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_a_redirect_to_a_long_signed_address_is_handed_on():
    target = "https://bucket.example/?X-Signature=" + "a" * 20_000
    head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    async with server(saying(head)) as url, client() as http:
        answer = await http.get(url)
    assert answer.headers["location"] == target


async def test_connections_are_kept_for_the_next_request_and_closed_if_half_read():
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while True:
            head = await head_of(reader)
            long = b"/long" in head
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" if long else OK)
            if long:
                writer.write(bytes(9_000_000))
            await writer.drain()

    async with server(serve) as url, client() as http:
        await http.get(url)
        await http.get(url)
        assert len(connections) == 1
        async with http.stream("GET", f"{url}/long") as answer:
            await anext(answer.aiter_bytes())
        assert (await http.get(url)).text == "ok"
        assert len(connections) == 2


async def test_the_way_to_strangers_keeps_no_connection():
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await saying(OK)(reader, writer)

    async with server(serve) as url, httpx.AsyncClient(transport=direct_network()) as http:
        for _ in range(2):
            assert (await http.get(url)).text == "ok"
    assert len(connections) == 2


@pytest.fixture
def proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def use(url: str) -> None:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "spared.invalid")

    return use


async def test_the_proxies_of_the_environment_are_used_but_not_for_strangers(
    proxy_of_the_environment,
):
    asked = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await head_of(reader)).split(b"\r\n")[0])
        writer.write(OK)
        await writer.drain()

    async with server(proxy) as url:
        proxy_of_the_environment(url)
        async with client() as http:
            assert (await http.get("http://far.invalid/x")).text == "ok"
            with pytest.raises(httpx.ConnectError):
                await http.get("http://spared.invalid/x")
        async with httpx.AsyncClient(transport=direct_network()) as http:
            with pytest.raises(httpx.ConnectError):
                await http.get("http://far.invalid/x")
    assert asked == [b"GET http://far.invalid/x HTTP/1.1"]


async def test_user_and_password_of_an_address_are_sent_once():
    heads = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await head_of(reader)).lower())
        writer.write(OK)
        await writer.drain()

    async with server(keep) as url, client() as http:
        await http.post(url.replace("http://", "http://user:secret@"))
    assert heads[0].count(b"authorization: basic dxnlcjpzzwnyzxq=") == 1
    assert b"secret" not in heads[0]


async def test_a_cancelled_request_closes_its_connection():
    asked, closed = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        asked.set()
        assert await reader.read() == b""
        closed.set()

    async with server(listen) as url, client() as http:
        request = asyncio.create_task(http.post(url, timeout=10))
        await asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await asyncio.wait_for(closed.wait(), 5)
