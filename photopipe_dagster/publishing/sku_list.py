"""The shop's list of SKUs, kept in the ledger for names of files to be compared with."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

from photopipe_dagster.core.errors import JobError, PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.runtime.services import open_target
from photopipe_dagster.targets.base import ListsSkus, Target
from photopipe_dagster.targets.registry import chosen_target

WATERMARK: Final = "shop_skus"
"""When the list was made, in the ledger."""

FOR_PEOPLE: Final = timedelta(minutes=5)
"""How old the list may be where a person waits for what is made of it."""

_log = logging.getLogger(__name__)


async def refresh_skus(
    settings: Settings, ledger: Ledger, *, max_age: timedelta | None = None
) -> bool:
    """List the shop's SKUs again if the list is older than that; whether it was.

    A shop that does not answer now leaves the list as it is, with a warning in the log.

    Args:
        max_age: Else SKU_LIST_SECONDS.

    Raises:
        ConfigurationError: The shop cannot work with these settings.
    """
    if max_age is None:
        max_age = timedelta(seconds=settings.sku_list_seconds)
    if chosen_target(settings) is None or not await asyncio.to_thread(_is_old, ledger, max_age):
        return False
    try:
        async with open_target(settings) as target:
            return await _list(target, ledger)
    except JobError as error:
        _log.warning("The shop's SKUs could not be listed: %s", error.message)
        return False


class SkuRefresh:
    """Lists the shop's SKUs beside polls that have no time to wait for a large shop.

    Args:
        seconds: How long a poll waits; then the list goes on, and counts at a later poll.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._thread: threading.Thread | None = None

    async def __call__(self, settings: Settings, ledger: Ledger) -> bool:
        """As `refresh_skus`; False also while the list is not complete."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=self._run, args=(settings, ledger), name="shop_skus", daemon=True
            )
            self._thread.start()
        await asyncio.to_thread(self._thread.join, self._seconds)
        return not self._thread.is_alive()

    @staticmethod
    def _run(settings: Settings, ledger: Ledger) -> None:
        try:
            asyncio.run(refresh_skus(settings, ledger))
        except PhotopipeError as error:
            _log.warning("The shop's SKUs could not be listed: %s", error)


async def _list(target: Target, ledger: Ledger) -> bool:
    if not isinstance(target, ListsSkus):
        return False
    begun = ledger.database.now()
    listed = [asdict(each) async for page in target.list_skus() for each in page]
    number = await asyncio.to_thread(ledger.catalogue.replace_skus, listed)
    await asyncio.to_thread(ledger.watermarks.set, WATERMARK, begun.isoformat())
    _log.info("The shop has %d SKUs", number)
    return True


def _is_old(ledger: Ledger, max_age: timedelta) -> bool:
    made = ledger.watermarks.get(WATERMARK)
    return made is None or datetime.fromisoformat(made) <= ledger.database.now() - max_age
