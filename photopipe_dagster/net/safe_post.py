"""A POST to an address that an operator configured, under the rules of downloads: nothing that is
not on the public internet, unless IMAGE_URL_ALLOWED_HOSTS lists it, and no redirect."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import httpx

from photopipe_dagster.core.errors import PhotopipeError, PhotoRejectedError
from photopipe_dagster.net.client import TIMEOUT, direct_network
from photopipe_dagster.net.safe_download import DownloadPolicy, Resolver, is_public, resolve


class UnsafeAddressError(PhotopipeError):
    """Nothing is sent to that address; says why, and shows no more of it than its host."""


class SafePoster:
    """Sends bodies to the very addresses that were checked; close it with `aclose`.

    Args:
        policy: Where they may be sent.
        transport: Replaces the network in tests.
        resolver: Looks hosts up; tests pass their own.
    """

    def __init__(
        self,
        policy: DownloadPolicy,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        resolver: Resolver = resolve,
    ) -> None:
        self._policy = policy
        # Without a client, which would log the whole address.
        self._transport = transport or direct_network()
        self._resolver = resolver

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """Send a body once.

        Args:
            url: Its path and query may be secret: errors do not show them.

        Raises:
            UnsafeAddressError: Nothing is sent there.
            OSError, httpx.TransportError: Nobody answered.
        """
        target = self._checked(url)
        host = target.raw_host.decode("ascii")
        port = target.port or (443 if target.scheme == "https" else 80)
        addresses = await self._resolver(host, port)
        if not addresses:
            raise OSError("the host has no address")
        if not self._policy.trusts(target) and not all(
            is_public(ipaddress.ip_address(address)) for address in addresses
        ):
            raise UnsafeAddressError(
                f"The host {target.host} is not on the public internet. If it is to be trusted, "
                "add it to IMAGE_URL_ALLOWED_HOSTS."
            )
        request = httpx.Request(
            "POST",
            target.copy_with(host=addresses[0]),
            headers={**headers, "Host": target.netloc.decode("ascii"), "User-Agent": "photopipe"},
            content=body,
            extensions={"sni_hostname": host, "timeout": TIMEOUT.as_dict()},
        )
        response = await self._transport.handle_async_request(request)
        await response.aclose()
        return response

    async def aclose(self) -> None:
        """Close connections."""
        await self._transport.aclose()

    def _checked(self, url: str) -> httpx.URL:
        try:
            return self._policy.check(url)
        except PhotoRejectedError as error:
            # What it says of a photo's URL holds for any.
            says = error.message.replace("The photo's URL", "The address")
            raise UnsafeAddressError(says.partition(", not http")[0]) from None
