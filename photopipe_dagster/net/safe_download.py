"""Download of a photo from an address that a stranger chose.

Anyone who can announce a photo can make us call any address. So an address is checked before each
request: its scheme, and that everything its name resolves to is a public address; and the request
goes to the very address that was checked, so that a name which resolves differently a moment later
gains nothing. Redirects are followed by hand, each under the same checks. Hosts listed in
IMAGE_URL_ALLOWED_HOSTS may be private and use plain http.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from photopipe_dagster.core.errors import NetworkError, PhotoRejectedError, RateLimitError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.client import (
    TIMEOUT,
    TRANSIENT,
    Again,
    Retry,
    direct_network,
    new_client,
    public,
)

MAX_REDIRECTS: Final = 3

TOTAL_SECONDS: Final = 180.0
"""How long a download may take with all its retries: 50 MB at 3 Mbit/s, and a second try."""

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port to IP addresses, best first; raises OSError if there are none."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_CODINGS: Final = frozenset(
    {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi"}
)
"""Content codings that there are (IANA's list): what came is not the file.

Any other word says nothing of the bytes: object stores send what was once stored beside the object,
such as ``aws-chunked``, ``UTF-8``, ``base64`` or nothing at all. The photo's SHA-256 decides.
"""

_CLOUD_PLATFORM = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "168.63.129.16",  # Azure's host agent: a public address that leads inside
        "192.0.0.192",  # Oracle Cloud's metadata
    )
)
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments: port control, TURN and other anycast nearby
        "192.31.196.0/24",  # AS112, answered within many networks
        "192.52.193.0/24",  # multicast relays
        "192.88.99.0/24",  # 6to4 relays, given up
        "192.175.48.0/24",  # AS112
        "2001::/23",  # protocol assignments: Teredo, ORCHID, anycast nearby
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
"""Blocks of IANA's registries of special purposes that no photo is on, whatever `is_global` says:
it depends on the version of Python, and of some the registry says that they are reachable."""

_ISATAP = 0x5EFE
"""Before an IPv4 address in the second half of an IPv6 address."""

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class DownloadPolicy:
    """What may be downloaded, from where.

    Args:
        max_bytes: A longer photo is refused.
        https_only: Whether plain http is refused (except from ``allowed_hosts``).
        allowed_hosts: ``host`` or ``host:port`` that may be private and use plain http.
        total_seconds: How long a download may take with all its retries.
    """

    max_bytes: int
    https_only: bool = True
    allowed_hosts: frozenset[str] = frozenset()
    total_seconds: float = TOTAL_SECONDS

    @classmethod
    def from_settings(cls, settings: Settings) -> DownloadPolicy:
        """The policy of the environment: in production https only."""
        return cls(
            max_bytes=settings.image_max_bytes,
            https_only=settings.production,
            allowed_hosts=frozenset(host.lower() for host in settings.image_url_allowed_hosts),
        )

    def check(self, url: str | httpx.URL) -> httpx.URL:
        """What can be told from the URL alone, without looking up its host.

        Raises:
            PhotoRejectedError: It must not be downloaded; says why.
        """
        try:
            parsed = httpx.URL(url)
            parsed.host  # noqa: B018  # read only here, and it may be no name
        except (httpx.InvalidURL, ValueError):
            raise PhotoRejectedError("The photo's URL is not a URL.") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise PhotoRejectedError("The photo's URL must begin with https:// and name a host.")
        if not 0 < (parsed.port or _default_port(parsed)) < 65536:
            raise PhotoRejectedError("The photo's URL has a port that does not exist.")
        if parsed.userinfo:
            raise PhotoRejectedError(
                "The photo's URL holds a user name or password; announce it without."
            )
        if self.trusts(parsed):
            return parsed
        if parsed.scheme == "http" and self.https_only:
            raise PhotoRejectedError(
                f"The photo's URL must be https, not {public(parsed)}. If its host is to be "
                "trusted over plain http, add it to IMAGE_URL_ALLOWED_HOSTS."
            )
        literal = _literal(parsed.host)
        if literal is not None and not is_public(literal):
            raise _private(parsed)
        return parsed

    def trusts(self, url: httpx.URL) -> bool:
        """Whether IMAGE_URL_ALLOWED_HOSTS lists the host of a URL."""
        port = url.port or _default_port(url)
        host = f"[{url.host}]" if ":" in url.host else url.host
        return not self.allowed_hosts.isdisjoint({url.host, host, f"{host}:{port}"})


def is_public(address: _Address) -> bool:
    """Whether an address is one of the open internet.

    Not public are loopback, private, shared (CGNAT), link-local, multicast, reserved and
    documentation addresses, those of cloud platforms' insides, and IPv6 forms of any of them.
    """
    if address in _CLOUD_PLATFORM or address.is_multicast or not address.is_global:
        return False
    if any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    tunnelled = address.sixtofour is not None or address.teredo is not None
    if (int(address) >> 32) & 0xFDFFFFFF == _ISATAP:
        return False
    return address in _GLOBAL_UNICAST and not tunnelled


async def resolve(host: str, port: int) -> Sequence[str]:
    """Look a host up, as the operating system does."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Downloader:
    """Downloads photos under a policy; close it with `aclose`.

    It keeps no cookie and no connection: a connection belongs to the host whose certificate was
    checked, and another host at the same address must not be answered over it.

    Args:
        policy: What may be downloaded, from where.
        transport: Replaces the network in tests.
        resolver: Looks hosts up; tests pass their own.
        retry: How often a photo is asked for.
    """

    def __init__(
        self,
        policy: DownloadPolicy,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        resolver: Resolver = resolve,
        retry: Retry | None = None,
    ) -> None:
        self._policy = policy
        self._client = new_client(transport=transport or direct_network())
        self._resolver = resolver
        self._retry = retry or Retry()

    async def fetch(self, url: str) -> bytes:
        """The bytes of a photo.

        Args:
            url: Where it is; may be signed, and is never shown with its query.

        Raises:
            PhotoRejectedError: The address is not allowed, or there is no photo behind it.
            NetworkError: No complete answer, or the server failed, after all retries.
            RateLimitError: The server asked to slow down, after all retries.
        """
        shown = public(self._policy.check(url))
        try:
            async with asyncio.timeout(self._policy.total_seconds):
                return await self._retry.run(lambda _: self._attempt(url))
        except TimeoutError:
            raise NetworkError(
                f"The photo at {shown} did not arrive within {self._policy.total_seconds:g} "
                "seconds. Check the server it is on.",
            ) from None

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _attempt(self, url: str) -> bytes | Again[bytes]:
        """One try, through all redirects."""
        target = self._policy.check(url)
        for _ in range(MAX_REDIRECTS + 1):
            try:
                response = await self._open(target)
                try:
                    if response.status_code not in _REDIRECTS:
                        return await _read(response, target, self._policy.max_bytes)
                finally:
                    await response.aclose()
            except (httpx.TransportError, OSError) as error:
                return Again(_no_answer(target, error))
            target = self._policy.check(_next(response, target))
        raise PhotoRejectedError(
            f"{public(url)} redirects more than {MAX_REDIRECTS} times. "
            "Announce the photo's final address."
        )

    async def _open(self, target: httpx.URL) -> httpx.Response:
        """Send the request to an address that was checked; the body is still to be read."""
        host = target.raw_host.decode("ascii")
        try:
            addresses = await self._resolver(host, target.port or _default_port(target))
        except UnicodeError:
            raise PhotoRejectedError("The host in the photo's URL is no host name.") from None
        if not addresses:
            raise OSError("the host has no address")
        if not self._policy.trusts(target) and not all(
            is_public(ipaddress.ip_address(address)) for address in addresses
        ):
            raise _private(target)
        for address in addresses[:-1]:
            try:
                return await self._client.send(_pinned(target, address), stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._client.send(_pinned(target, addresses[-1]), stream=True)


def _pinned(target: httpx.URL, address: str) -> httpx.Request:
    """A request to one address of a host; its name goes into Host and the TLS handshake.

    Not made by the client, which would add headers of its own, nor through a proxy, which would
    look the name up again.
    """
    return httpx.Request(
        "GET",
        target.copy_with(host=address),
        headers={
            "Host": target.netloc.decode("ascii"),
            "Accept": "image/*",
            # So that Content-Length counts the photo, and nothing unpacks to more than it says.
            "Accept-Encoding": "identity",
            "User-Agent": "photopipe",
        },
        extensions={
            "sni_hostname": target.raw_host.decode("ascii"),
            "timeout": TIMEOUT.as_dict(),
        },
    )


def _next(response: httpx.Response, target: httpx.URL) -> httpx.URL:
    """Where a redirect leads."""
    try:
        return target.join(response.headers["location"])
    except (KeyError, httpx.InvalidURL, ValueError):
        raise PhotoRejectedError(
            f"{public(target)} redirects to nowhere. Announce the photo's final address."
        ) from None


async def _read(
    response: httpx.Response, target: httpx.URL, max_bytes: int
) -> bytes | Again[bytes]:
    shown = public(target)
    if response.status_code != httpx.codes.OK:
        return _refused(response, shown)
    if not _CODINGS.isdisjoint(re.findall(r"[\w-]+", _encodings(response))):
        raise PhotoRejectedError(
            f"{shown} sends the photo compressed although asked not to. "
            "Let its server send the file as it is."
        )
    declared = _length(response)
    data = bytearray()
    if declared is None or declared <= max_bytes:
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > max_bytes:
                break
    if max(len(data), declared or 0) > max_bytes:
        raise PhotoRejectedError(
            f"The photo at {shown} has more than {max_bytes} bytes. Announce a smaller "
            "one, or raise IMAGE_MAX_BYTES."
        )
    if declared is not None and len(data) != declared:
        return Again(
            NetworkError(
                f"The download from {shown} ended after {len(data)} of {declared} bytes.",
                details={"received": len(data), "expected": declared},
            )
        )
    fault = _fault(bytes(data[:512]))
    if fault is not None:
        raise PhotoRejectedError(f"{shown} answers with {fault}. Announce the address of the file.")
    return bytes(data)


def _refused(response: httpx.Response, shown: str) -> Again[bytes]:
    """What a status other than 200 means.

    Raises:
        PhotoRejectedError: Trying again cannot help.
    """
    status = response.status_code
    details = {"status": status}
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Again(
            RateLimitError(
                f"{shown} asks to slow down (429). If it goes on, ask its owner to allow more.",
                details=details,
            ),
            response,
        )
    if status in TRANSIENT or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Again(
            NetworkError(
                f"{shown} fails with status {status}. Check the server that it is on.",
                details=details,
            ),
            response,
        )
    advice = {
        401: "It wants a login. Announce an address that needs none, such as a signed one.",
        403: "The link may have expired or is not meant for us. Announce a fresh one.",
        404: "The photo is not there any more, or never was. Announce where it is.",
        410: "The photo was removed. Announce where it is now.",
    }.get(status, "Check the photo's address.")
    raise PhotoRejectedError(f"{shown} answers with status {status}. {advice}", details=details)


def _fault(start: bytes) -> str | None:
    """What a file certainly is instead of a picture, from its first bytes."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return "an empty file"
    if re.match(rb"<(!doctype\s+html|html|head|body|script|!--)", text, re.IGNORECASE):
        return "a web page (HTML) instead of a photo"
    if text.startswith((b"<", b"{", b"[")):
        return "a text (XML or JSON) instead of a photo"
    return None


def _no_answer(target: httpx.URL, error: Exception) -> NetworkError:
    if isinstance(error, socket.gaierror):
        message = f"The host {target.host} cannot be looked up. Check its name and our DNS."
    else:
        message = (
            f"{public(target)} did not answer completely ({type(error).__name__}). "
            "Check that its server is up and reachable."
        )
    sent = not isinstance(error, OSError | httpx.ConnectError | httpx.ConnectTimeout)
    return NetworkError(message, sent=sent, details={"cause": type(error).__name__})


def _private(target: httpx.URL) -> PhotoRejectedError:
    return PhotoRejectedError(
        f"The host {target.host} is not on the public internet, so nothing is downloaded from "
        "it. If it is to be trusted, add it to IMAGE_URL_ALLOWED_HOSTS."
    )


def _literal(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _encodings(response: httpx.Response) -> str:
    return str(response.headers.get("content-encoding", "")).lower()


def _length(response: httpx.Response) -> int | None:
    value = response.headers.get("content-length", "")
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None


def _default_port(url: httpx.URL) -> int:
    return 443 if url.scheme == "https" else 80
