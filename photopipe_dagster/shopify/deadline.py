"""How long Shopify may take to process what it was given."""

from __future__ import annotations

from dataclasses import dataclass

from photopipe_dagster.core.errors import TargetError
from photopipe_dagster.shopify.client import ShopifyClient


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits between two looks, until there is no time left.

    Args:
        client: Whose clock counts.
        deadline: The client's monotonic seconds.
        seconds: How long it is in all, for the message.
        poll_seconds: Seconds between two looks.
    """

    client: ShopifyClient
    deadline: float
    seconds: float
    poll_seconds: float

    @classmethod
    def of(cls, client: ShopifyClient, seconds: float, poll_seconds: float) -> Patience:
        """Patience for so many seconds from now."""
        return cls(client, client.clock() + seconds, seconds, poll_seconds)

    async def wait(self, why: str) -> None:
        """Wait for the next look.

        Raises:
            TargetError: There is no time left; ``why`` says what is still missing.
        """
        if self.client.clock() >= self.deadline:
            raise TargetError(
                f"{why} after {self.seconds:.0f} s. The next attempt goes on with the same file; "
                "SHOPIFY_READY_TIMEOUT_SECONDS says how long to wait.",
                retryable=True,
            )
        await self.client.sleep(self.poll_seconds)
