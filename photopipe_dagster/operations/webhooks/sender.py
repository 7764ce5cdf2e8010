"""Takes events of jobs to the endpoints that want them, again and again until they are taken."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Self

import httpx

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.deliveries import TEST, Delivery, Event, Outcome
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.net import standard_webhooks
from photopipe_dagster.net.client import retry_after
from photopipe_dagster.net.safe_download import DownloadPolicy, Resolver, resolve
from photopipe_dagster.net.safe_post import SafePoster, UnsafeAddressError
from photopipe_dagster.operations.webhooks.endpoints import Endpoint, endpoints

WAITS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)
"""After each failed try, as the standard recommends: three and a half days together."""

_JITTER: Final = 0.1
_AT_ONCE: Final = 8
_A_TICK: Final = 200
_MOST_SECONDS: Final = 15.0
"""For an answer: the standard recommends 15 to 30."""

_log = logging.getLogger(__name__)


class WebhookSender:
    """Sends what is due. Close it with `aclose`, or use it in ``async with``.

    Args:
        transport: Replaces the network in tests.
        resolver: Looks hosts up; tests pass their own.

    Raises:
        ConfigurationError: A secret is missing or of another form.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        resolver: Resolver = resolve,
    ) -> None:
        self._ledger = ledger
        self._endpoints = {each.name: each for each in endpoints(settings)}
        self._kinds = frozenset(settings.event_webhook_types)
        self._poster = SafePoster(
            DownloadPolicy.from_settings(settings), transport=transport, resolver=resolver
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections."""
        await self._poster.aclose()

    async def send_due(self) -> tuple[int, int]:
        """Take up new events, and send what is due; how many were taken, and how many were not."""
        deliveries = self._ledger.deliveries
        await asyncio.to_thread(self._take_up)
        due = await asyncio.to_thread(deliveries.take_due, _A_TICK, self._endpoints)
        turn = asyncio.Semaphore(_AT_ONCE)
        taken = await asyncio.gather(*(self._send(each, turn) for each in due))
        if due:
            await asyncio.to_thread(deliveries.prune)
        return taken.count(True), taken.count(False)

    def _take_up(self) -> None:
        """Make a delivery to each endpoint of each new event."""
        while events := self._ledger.deliveries.new_events(_A_TICK):
            wanted = [
                each for each in events if not self._kinds or each.kind in {TEST, *self._kinds}
            ]
            payloads = {each.id: self._payload(each) for each in wanted}
            self._ledger.deliveries.take_up(events, payloads, list(self._endpoints))

    def _payload(self, event: Event) -> str:
        job = None if event.job_id is None else self._ledger.jobs.get(event.job_id)
        data: Mapping[str, Any] = {} if job is None else _shown(job)
        return json.dumps(
            {"type": event.kind, "timestamp": event.at.isoformat(), "data": data},
            ensure_ascii=False,
        )

    async def _send(self, delivery: Delivery, turn: asyncio.Semaphore) -> bool:
        async with turn:
            outcome = await self._attempt(delivery, self._endpoints[delivery.endpoint])
        await asyncio.to_thread(self._ledger.deliveries.tried, delivery.id, outcome)
        if not outcome.delivered:
            _log.warning(
                "Endpoint %s did not take %s: %s",
                delivery.endpoint,
                delivery.message_id,
                outcome.says,
            )
        return outcome.delivered

    async def _attempt(self, delivery: Delivery, endpoint: Endpoint) -> Outcome:
        body = delivery.payload.encode()
        now = int(self._ledger.database.now().timestamp())
        headers = standard_webhooks.headers(endpoint.key, delivery.message_id, now, body)
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                response = await self._poster.post(endpoint.url.get_secret_value(), body, headers)
        except UnsafeAddressError as error:
            return self._again(delivery, str(error))
        except (OSError, TimeoutError, httpx.TransportError, UnicodeError) as error:
            # Not the error's text: it may name the address, which may be secret.
            return self._again(delivery, f"Nobody answered ({type(error).__name__}).")
        if response.is_success:
            return Outcome(delivered=True, status=response.status_code)
        says = f"It answered {response.status_code}."
        if response.status_code == httpx.codes.GONE:
            return Outcome(status=410, says=f"{says} Nothing more of this is sent there.")
        return self._again(delivery, says, response)

    def _again(
        self, delivery: Delivery, says: str, response: httpx.Response | None = None
    ) -> Outcome:
        """When to try again; never, once all tries are used up."""
        status = None if response is None else response.status_code
        if delivery.attempts >= len(WAITS):
            return Outcome(status=status, says=says)
        wait = WAITS[delivery.attempts] * random.uniform(1, 1 + _JITTER)
        asked = None if response is None else retry_after(response)
        if asked is not None:
            wait = max(wait, min(timedelta(seconds=asked), WAITS[-1]))
        return Outcome(status=status, says=says, again_in=wait)


def _shown(job: Job) -> Mapping[str, Any]:
    """What outsiders are told of a job: no URL, and nothing that is signed."""
    return {
        "jobId": job.id,
        "sku": job.key.sku,
        "sha256": job.key.sha256,
        "theme": job.key.theme,
        "status": job.status.value,
        "productId": job.product_id,
        "mediaId": job.media_id,
        "totalCostUsd": float(job.total_cost),
        "errorCode": None if job.error_code is None else job.error_code.value,
        "errorMessage": job.error_message,
        "reviewReasons": list(job.review_reasons or ()),
    }
