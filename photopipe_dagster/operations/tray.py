"""The tray: files whose name does not say which product they show, until a person does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.source_files import FileState, SourceFile
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.sources.base import Announcement
from photopipe_dagster.sources.intake import Accepted, Intake
from photopipe_dagster.sources.registry import SOURCES
from photopipe_dagster.storage.base import ObjectStore


async def give_sku(
    settings: Settings, ledger: Ledger, store: ObjectStore, file_id: str, sku: str, *, by: str
) -> Accepted:
    """Make the job of a file of the tray, with the SKU that a person gives it.

    Args:
        by: The person.

    Raises:
        NotFoundError, InvalidTransitionError: There is no such file, or it does not wait.
        PhotoRejectedError: It is no photo, it is gone, or no product can have such a SKU.
        NetworkError, RateLimitError, StorageError: It could not be fetched or stored now.
    """
    file = await asyncio.to_thread(ledger.source_files.require_waiting, file_id)
    plugin = SOURCES.get(file.source)
    async with PhotoFetcher(settings) as photos:
        announcement = Announcement(sku.strip(), file.ref, theme=file.theme)
        intake = Intake(settings, ledger, store, photos.fetch)
        arrives_by = plugin.polling.arrives_by if plugin.polling else plugin.name
        accepted = await intake.accept(announcement, plugin, arrives_by=arrives_by)
        key = accepted.key
        taken = replace(file, state=FileState.TAKEN, sku=key.sku, job_id=key.job_id, reason=None)
        await asyncio.to_thread(ledger.source_files.keep, [taken], by=by)
        await photos.source(plugin).acknowledge(announcement)
    return accepted


async def read_file(settings: Settings, file: SourceFile) -> bytes:
    """The bytes of a file of the tray.

    Raises:
        PhotoRejectedError: It is gone or too large. NetworkError, RateLimitError: Not now.
    """
    async with PhotoFetcher(settings) as photos:
        return await photos.fetch(file.ref)
