"""The themes that the shop has made. A revision never changes, and the last one counts."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from photopipe_dagster.core.errors import ConflictError, InvalidRecordError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.jobs.model import MAX_NAME_CHARACTERS
from photopipe_dagster.ledger.tables import themes
from photopipe_dagster.themes.model import Theme
from photopipe_dagster.themes.record import as_record, differences, read_theme
from photopipe_dagster.themes.registry import ThemeRegistry, ThemeRevision

_log = logging.getLogger(__name__)

# Rows are only added, but on Postgres the ids of two at once may be seen in either order.
_MARK: Final = select(func.count(), func.max(themes.c.id))

_LAST: Final = (
    select(themes)
    .where(themes.c.id.in_(select(func.max(themes.c.id)).group_by(themes.c.name)))
    .order_by(themes.c.name)
)

_OF_NAME: Final = (
    select(themes).where(themes.c.name == bindparam("of_name")).order_by(themes.c.revision)
)

_MOST_TOLD: Final = 5


class Themes:
    """The shop's own themes. Other processes see a change within a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: tuple[object, float, tuple[ThemeRevision, ...]] = (None, 0.0, ())

    def registry(self, settings: Settings, *, max_age: float = 0.0) -> ThemeRegistry:
        """All themes as they are now: those that ship and the shop's. Reads one row as a rule.

        Args:
            max_age: Seconds for which what this process has read may stand.

        Raises:
            ConfigurationError: SUPPORTED_THEMES or DEFAULT_THEME names a theme that there is not.
        """
        return ThemeRegistry.from_settings(settings, self.all(max_age=max_age))

    def all(self, *, max_age: float = 0.0) -> tuple[ThemeRevision, ...]:
        """The last revision of each, by name. One that cannot be read is left out, and logged."""
        mark, since, found = self._seen
        now = time.monotonic()
        if mark is not None and now - since < max_age:
            return found
        current = tuple(self._database.one(_MARK) or ())
        if current != mark:
            rows = self._database.all(_LAST)
            found = tuple(each for row in rows if (each := _read(row)) is not None)
        self._seen = current, now, found
        return found

    def history(self, name: str) -> tuple[ThemeRevision, ...]:
        """All revisions of one, the first one first; none where the shop has made no such theme."""
        rows = self._database.all(_OF_NAME, {"of_name": name})
        return tuple(each for row in rows if (each := _read(row)) is not None)

    def save(
        self, theme: Theme, *, based_on: int, by: str, archived: bool = False
    ) -> ThemeRevision:
        """Make a revision of a theme; none is made where nothing would change.

        Args:
            based_on: The revision that was changed; 0 for a new theme.
            by: Who does it.

        Raises:
            InvalidRecordError: It is no theme; names the field.
            ConflictError: There is a later one, or, for a new theme, one of that name.
        """
        content = as_record(theme)
        theme = read_theme(content)
        with self._database.write() as connection:
            rows = connection.execute(_OF_NAME, {"of_name": theme.name}).all()
            known = [each for row in rows if (each := _read(row)) is not None]
            last = rows[-1].revision if rows else 0
            if last != based_on:
                raise _conflict(theme.name, based_on, known)
            if known and (known[-1].theme, known[-1].archived) == (theme, archived):
                return known[-1]
            made = ThemeRevision(
                theme, last + 1, archived, by[:MAX_NAME_CHARACTERS], self._database.now()
            )
            values = {
                "name": theme.name,
                "revision": made.revision,
                "content": content,
                "archived": archived,
                "made_by": made.made_by,
                "made_at": made.made_at,
            }
            new = self._database.insert(themes).values(values).on_conflict_do_nothing()
            ours = connection.execute(new).rowcount
        if not ours:  # on Postgres, somebody else was as quick
            raise _conflict(theme.name, based_on, self.history(theme.name))
        self._seen = (None, 0.0, ())
        return made


def _read(row: Any) -> ThemeRevision | None:
    try:
        theme = read_theme(row.content)
    except InvalidRecordError as error:
        _log.error("Theme %s, revision %s: %s", row.name, row.revision, error)
        return None
    return ThemeRevision(theme, row.revision, row.archived, row.made_by, row.made_at)


def _conflict(
    name: str, based_on: int, known: list[ThemeRevision] | tuple[ThemeRevision, ...]
) -> ConflictError:
    if based_on == 0:
        return ConflictError(f"There is a theme {name} already. Choose another name, or edit it.")
    since = [each for each in known if each.revision > based_on]
    before = next((each for each in known if each.revision == based_on), None)
    if not since or before is None:
        return ConflictError(f"The theme {name} has no revision {based_on}. Load it again.")
    told = []
    for each in since:
        changed = differences(before.theme, each.theme)
        fields = ", ".join([*changed][:_MOST_TOLD]) + (" and more" * (len(changed) > _MOST_TOLD))
        done = "archived it" if each.archived else f"changed {fields or 'nothing that shows'}"
        told.append(f"{each.made_by} {done} at {each.made_at:%Y-%m-%d %H:%M} UTC")
        before = each
    return ConflictError(
        f"The theme {name} is at revision {since[-1].revision} by now, and your change was made on "
        f"revision {based_on}: {'; '.join(told)}. Nothing was saved. Look at it, and send your "
        f"change on revision {since[-1].revision}."
    )
