"""How long Shopify may take to process what it was given."""

from __future__ import annotations

from photopipe_dagster.core.errors import TargetError
from photopipe_dagster.shopify.client import ShopifyClient


class Deadline:
    """Waits between two looks, until there is no time left; the time begins now.

    Args:
        client: Whose settings say how long, and whose clock counts.
    """

    def __init__(self, client: ShopifyClient) -> None:
        self._client = client
        self._seconds = client.settings.shopify_ready_timeout_seconds
        self._deadline = client.clock() + self._seconds

    async def wait(self, why: str) -> None:
        """Wait for the next look.

        Raises:
            TargetError: There is no time left; ``why`` says what is still missing.
        """
        if self._client.clock() >= self._deadline:
            raise TargetError(
                f"{why} after {self._seconds:.0f} s. The next attempt goes on with the same file; "
                "SHOPIFY_READY_TIMEOUT_SECONDS says how long to wait.",
                retryable=True,
            )
        await self._client.sleep(self._client.settings.shopify_poll_seconds)
