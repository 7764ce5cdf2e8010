"""A provider over its simulator."""

from __future__ import annotations

from typing import Any

import httpx

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.base import BackgroundRequest, Original, ProviderContext, Unpaid
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.configuration import secret_values
from photopipe_dagster.sandbox.server import RunningSandbox
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.wire import Wire
from photopipe_dagster_tests.support.world import photo_of_a_mug

PHOTO = photo_of_a_mug(1)


class Noted(Unpaid):
    """A purchase that notes what it is told that it costs."""

    def __init__(self) -> None:
        self.cost: Any = None

    def costs(self, usd: Any) -> None:
        self.cost = usd


class Maker:
    """Has pictures made by one provider, and looks into the books of its simulator."""

    def __init__(self, name: str, sandbox: RunningSandbox) -> None:
        sandbox.state.reset()
        self.name = name
        self.sandbox = sandbox
        self.books: Any = sandbox.state.providers[name]
        self.url = f"{sandbox.url}/{self.books.path}"
        self.purchase = Noted()

    def settings(self, **own: Any) -> Settings:
        variables = PROVIDERS.get(self.name).sandbox_variables(self.sandbox.url)
        given = {name.lower(): value for name, value in variables.items()}
        return Settings(_env_file=None, **given | own)

    async def make(
        self,
        job: str,
        *,
        photo: bytes = PHOTO,
        size: tuple[int, int] = (240, 240),
        transport: httpx.AsyncBaseTransport | None = None,
        **own: Any,
    ) -> Any:
        """A picture, with some settings of its own."""
        context = ProviderContext(
            self.settings(**own),
            transport=transport or Wire(),
            sleep=self._sleep,
            clock=self.sandbox.state.clock.timestamp,
        )
        provider: Any = PROVIDERS.get(self.name).open(context)
        try:
            if job == "cutout":
                original = Original(photo, "image/jpeg", *size, signed_url=lambda: "")
                return await provider.remove_background(original, self.purchase)
            request = BackgroundRequest(THEMES["kitchen"], 300, 240, 7)
            return await provider.generate_background(request, self.purchase)
        finally:
            await provider.aclose()

    async def _sleep(self, seconds: float) -> None:
        self.sandbox.state.clock.advance(seconds)

    def shows_no_secret(self, error: Any) -> None:
        """See that an error tells none of the keys."""
        told = f"{error!r} {error} {error.details}"
        assert not [secret for secret in secret_values(self.settings()) if secret in told]
