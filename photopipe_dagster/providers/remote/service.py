"""A service among the providers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.core.probe import PartStatus
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.net.client import new_client
from photopipe_dagster.providers.base import ProviderContext, ProviderPlugin
from photopipe_dagster.providers.prices import PriceList
from photopipe_dagster.providers.remote.settings import RemoteSettings


class RemotePlugin(ProviderPlugin):
    """A provider that is a service: all that follows from its settings.

    Its folder has a module ``provider`` with a class ``Provider``, which is imported when it is
    opened.

    Attributes:
        account: Path of the cheapest call that needs the key and costs nothing.
        sandbox: Path of its address in the sandbox, and the key that opens that, if it is there.
    """

    settings: type[RemoteSettings]
    account: ClassVar[str]
    sandbox: ClassVar[tuple[str, str] | None] = None

    def __init_subclass__(cls) -> None:
        own = cls.settings
        url, key, rate = map(own.variable, (own.url_name, own.key_name, own.rate_name))
        advice: Mapping[ErrorCode, str] = {
            ErrorCode.API_ERROR: f"{own.service}'s key is {key}, its address {url}.",
            ErrorCode.RATE_LIMIT_ERROR: f"{rate} slows the requests to {own.service} down.",
        }
        if "advice" not in cls.__dict__:
            cls.advice = advice
        cls.title = own.service

    def check(self, settings: Settings) -> None:
        """See that its settings can work.

        Raises:
            ConfigurationError: Says which variable to set.
        """
        own = settings.of(self.settings)
        own.check()
        settings.require_https(own.variable(own.url_name), own.url())
        for name in own.more_urls:
            settings.require_https(own.variable(name), own.value(name))

    def open(self, context: ProviderContext) -> Any:
        """A provider as the settings have it.

        Raises:
            ConfigurationError: It cannot work with them.
        """
        self.check(context.settings)
        module = type(self).__module__.rpartition(".")[0]
        return import_module(f"{module}.provider").Provider(context)

    def prices(self, settings: Settings) -> PriceList:
        """Those of its variables …_PRICE_…."""
        return settings.of(self.settings).prices()

    def sandbox_variables(self, sandbox: str) -> dict[str, str]:
        """Those that lead to its simulator, which may be asked often."""
        if self.sandbox is None:
            return super().sandbox_variables(sandbox)
        (path, key), own = self.sandbox, self.settings
        names = map(own.variable, (own.url_name, own.key_name, own.rate_name))
        return dict(zip(names, (f"{sandbox}{path}", key, "6000"), strict=True))

    def account_url(self, own: Any) -> str:
        """Where `account` is."""
        return f"{own.url()}{self.account}"

    async def probe(self, context: ProviderContext) -> PartStatus:
        """Ask for the account, or the cheapest that needs the key."""
        own = context.settings.of(self.settings)
        if own.value(own.key_name) is None:
            return "not configured"
        async with new_client(headers=own.headers(), transport=context.transport) as client:
            response = await client.get(self.account_url(own))
        if response.status_code in (401, 403):
            return "unauthorized"
        # Asked to slow down, it is there anyway.
        return "connected" if response.is_success or response.status_code == 429 else "unreachable"
