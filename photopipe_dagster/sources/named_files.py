"""Files of a source whose names say which product they show, and those that wait: the tray."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from photopipe_dagster.core.errors import JobError, PhotoRejectedError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.source_files import FileState, SourceFile
from photopipe_dagster.sources.base import Announcement, NamedPhoto, SourcePlugin
from photopipe_dagster.sources.intake import Accepted
from photopipe_dagster.sources.names import Match, match_names

REMATCHED: Final = 10_000
"""Files of the tray that a poll looks at again, the newest first."""

Refresh = Callable[[], Awaitable[bool]]
"""Has the shop's SKUs listed again where the list is old; whether it did."""

_log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of one entry of a listing."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    WAITING = "waiting"


class NamedFiles:
    """The files of one poll.

    Args:
        accept: Makes the job of an announced photo.
        acknowledge: Tells the source that a photo has its job; raises nothing.

    Attributes:
        has_taken: Whether a photo of it has been fetched.
    """

    def __init__(
        self,
        plugin: SourcePlugin,
        ledger: Ledger,
        accept: Callable[[Announcement], Awaitable[Accepted]],
        acknowledge: Callable[[Announcement], Awaitable[None]],
        *,
        refresh: Refresh | None,
    ) -> None:
        self._plugin = plugin
        self._ledger = ledger
        self._accept = accept
        self._acknowledge = acknowledge
        self._refresh = refresh
        self._listed: set[str] = set()
        self.has_taken = False

    async def take(self, photos: Sequence[NamedPhoto]) -> list[Outcome | JobError]:
        """Make the jobs of files whose names say which product they show; others wait."""
        if not photos:
            return []
        self._listed.update(photo.ref for photo in photos)
        files = self._ledger.source_files
        seen = [self._file(photo) for photo in photos]
        known = await asyncio.to_thread(files.known, seen)
        outcomes: list[Outcome | JobError] = []
        new: list[tuple[NamedPhoto, SourceFile]] = []
        for photo, file in zip(photos, seen, strict=True):
            before = known.get(photo.ref)
            if before is None or before.version != photo.version:
                new.append((photo, file))
            elif before.state is FileState.UNMATCHED:
                new.append((photo, before))
            else:
                if before.state is FileState.TAKEN:  # and the process died before it was told
                    await self._acknowledge(Announcement(before.sku or "", photo.ref))
                refused = before.state is FileState.REFUSED
                outcomes.append(Outcome.WAITING if refused else Outcome.DUPLICATE)
        if new:
            outcomes += await self._take_new(new)
        return outcomes

    async def unmatched(self) -> list[NamedPhoto]:
        """Files of the tray whose names may match by now, where the source lists them no more."""
        return [
            NamedPhoto(file.name, file.ref, file.version, theme=file.theme)
            for file in await asyncio.to_thread(self._waiting)
            if file.state is FileState.UNMATCHED
        ]

    async def forget_unlisted(self) -> None:
        """Take out of the tray what a source that lists all has no more."""
        gone = [
            replace(file, state=FileState.DROPPED)
            for file in await asyncio.to_thread(self._waiting)
            if file.ref not in self._listed
        ]
        await asyncio.to_thread(self._ledger.source_files.keep, gone, by="renamed or gone")

    def _waiting(self) -> list[SourceFile]:
        return self._ledger.source_files.waiting(source=self._plugin.name, limit=REMATCHED)

    async def _take_new(
        self, new: Sequence[tuple[NamedPhoto, SourceFile]]
    ) -> list[Outcome | JobError]:
        matches = await self._matches([photo.name for photo, _ in new])
        results = await asyncio.gather(
            *(
                self._take_file(photo, match)
                for (photo, _), match in zip(new, matches, strict=True)
            ),
            return_exceptions=True,
        )
        outcomes: list[Outcome | JobError] = []
        kept: list[SourceFile] = []
        for (photo, file), match, result in zip(new, matches, results, strict=True):
            if isinstance(result, Accepted):
                job = result.key.job_id
                taken = replace(file, state=FileState.TAKEN, sku=match.sku, job_id=job)
                kept.append(replace(taken, reason=None))
                outcomes.append(Outcome.CREATED if result.created else Outcome.DUPLICATE)
                self.has_taken = True
            elif isinstance(result, PhotoRejectedError):
                state = FileState.REFUSED if match.sku else FileState.UNMATCHED
                if (state, result.message) != (file.state, file.reason):
                    kept.append(replace(file, state=state, reason=result.message))
                outcomes.append(Outcome.WAITING)
            elif isinstance(result, JobError):
                _log.warning("%s is left for the next poll: %s", photo.name, result.message)
                outcomes.append(result)
            else:
                raise result
        await asyncio.to_thread(self._ledger.source_files.keep, kept)
        for (photo, _), result in zip(new, results, strict=True):
            if isinstance(result, Accepted):
                await self._acknowledge(Announcement(result.key.sku, photo.ref))
        return outcomes

    async def _matches(self, names: Sequence[str]) -> list[Match]:
        catalogue = self._ledger.catalogue
        matches = await asyncio.to_thread(match_names, catalogue, names)
        if self._refresh is not None and not all(match.sku for match in matches):
            refresh, self._refresh = self._refresh, None  # once a poll
            if await refresh():
                matches = await asyncio.to_thread(match_names, catalogue, names)
        return matches

    async def _take_file(self, photo: NamedPhoto, match: Match) -> Accepted:
        if not match.sku:
            raise PhotoRejectedError(match.reason)
        announced = Announcement(
            match.sku, photo.ref, updated_at=photo.updated_at, theme=photo.theme
        )
        return await self._accept(announced)

    def _file(self, photo: NamedPhoto) -> SourceFile:
        return SourceFile(
            self._plugin.name,
            photo.ref,
            photo.name,
            photo.version,
            FileState.UNMATCHED,
            theme=photo.theme,
        )
