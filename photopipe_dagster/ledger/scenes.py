"""Scenes: pictures that a whole collection stands in. Revisions are immutable; their state is not.

The newest approved revision of a name counts. An edit adds a revision, of the same
picture or of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, func, insert, select, update

from photopipe_dagster.core.errors import ConflictError, NotFoundError, PhotopipeError
from photopipe_dagster.imaging.scene_view import UPLOAD, SceneView
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import scenes
from photopipe_dagster.themes.model import is_name

_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


class SceneState(StrEnum):
    """Whether a revision is in use."""

    DRAFT = "draft"
    """Nobody has approved it yet."""
    APPROVED = "approved"
    """Photos may stand in it; the newest one does count."""
    ARCHIVED = "archived"
    """No new picture shows it."""


@dataclass(frozen=True, slots=True)
class ScenePicture:
    """The picture of a scene, and how it came about.

    Args:
        digest: SHA-256 of its bytes, as hex.
        content_type: MIME type.
        view: What is known of it.
        confidence: How sure each estimate is, 0 to 1; empty where a person has said it all.
        provider: Who made it; `UPLOAD` for somebody's own.
        model: Name and version of what made it.
        prompt: What was asked for.
        cost: USD.
    """

    digest: str
    content_type: str
    view: SceneView
    confidence: Mapping[str, float] = field(default_factory=dict)
    provider: str = UPLOAD
    model: str | None = None
    prompt: str | None = None
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class SceneRevision:
    """A scene as it was at one time. Moments are UTC."""

    name: str
    revision: int
    state: SceneState
    picture: ScenePicture
    made_by: str
    made_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def label(self) -> str:
        """``name@revision``, as pictures remember it."""
        return f"{self.name}@{self.revision}"

    @property
    def view(self) -> SceneView:
        """What is known of its picture."""
        return self.picture.view

    @property
    def object_key(self) -> str:
        """Where its picture is stored."""
        return scene_key(self.name, self.picture.digest, self.picture.content_type)


def scene_key(name: str, digest: str, content_type: str) -> str:
    """Where the picture of a scene is stored.

    Raises:
        PhotopipeError: The name is none.
    """
    check_name(name)
    return f"scenes/{name}/{digest}.{_EXTENSIONS[content_type]}"


def check_name(name: str) -> None:
    """Refuse what cannot be a scene's name.

    Raises:
        PhotopipeError: Says what a name is.
    """
    if not is_name(name):
        raise PhotopipeError(
            f"A scene's name has lower-case letters, digits and '-', at most 64; got {name[:80]!r}."
        )


class Scenes:
    """The scenes of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        name: str,
        picture: ScenePicture,
        *,
        by: str,
        state: SceneState = SceneState.DRAFT,
        based_on: int | None = None,
    ) -> SceneRevision:
        """Add a revision, unless the same one is there.

        Args:
            based_on: The newest revision that its author has seen; ``None``: any.

        Raises:
            PhotopipeError: The name is none.
            ConflictError: Somebody else has added one since; nothing is lost.
        """
        check_name(name)
        now = self._database.now()
        decided = {} if state is SceneState.DRAFT else {"decided_by": by, "decided_at": now}
        with self._database.write() as connection:
            known = [_revision(row) for row in connection.execute(_of(name))]
            newest = known[0].revision if known else 0
            if based_on is not None and based_on != newest:
                raise ConflictError(
                    f"{known[0].made_by if known else 'Somebody'} has changed the scene {name} "
                    f"since: it is at revision {newest}, and you began with {based_on}. Look at "
                    "that one, and change it again."
                )
            for each in known:
                if each.picture == picture and each.state is not SceneState.ARCHIVED:
                    return each
            row = {
                "name": name,
                "revision": newest + 1,
                "state": state,
                "digest": picture.digest,
                "content_type": picture.content_type,
                "view": picture.view.to_json(),
                "confidence": dict(picture.confidence),
                "provider": picture.provider,
                "model": picture.model,
                "prompt": picture.prompt,
                "cost": picture.cost,
                "made_by": by,
                "made_at": now,
                **decided,
            }
            added = connection.execute(insert(scenes).returning(scenes), row).one()
        return _revision(added)

    def get(self, name: str, revision: int) -> SceneRevision | None:
        """One revision, in whatever state."""
        row = self._database.one(_of(name).where(scenes.c.revision == revision))
        return None if row is None else _revision(row)

    def approved(self, name: str) -> SceneRevision | None:
        """The revision that counts; ``None`` where none is approved."""
        query = _of(name).where(scenes.c.state == SceneState.APPROVED).limit(1)
        row = self._database.one(query)
        return None if row is None else _revision(row)

    def history(self, name: str) -> list[SceneRevision]:
        """All revisions of a scene, newest first.

        Raises:
            NotFoundError: There is none.
        """
        rows = self._database.all(_of(name))
        if not rows:
            raise NotFoundError("scene", name, "scene list")
        return [_revision(row) for row in rows]

    def newest(self) -> list[SceneRevision]:
        """The newest revision of each scene, by name."""
        last = select(func.max(scenes.c.id)).group_by(scenes.c.name)
        query = select(scenes).where(scenes.c.id.in_(last)).order_by(scenes.c.name)
        return [_revision(row) for row in self._database.all(query)]

    def approved_since(self, moment: datetime | None, limit: int = 100) -> list[SceneRevision]:
        """Approved revisions that were approved after a moment, in that order."""
        query = select(scenes).where(scenes.c.state == SceneState.APPROVED)
        if moment is not None:
            query = query.where(scenes.c.decided_at > moment)
        rows = self._database.all(query.order_by(scenes.c.decided_at, scenes.c.id).limit(limit))
        return [_revision(row) for row in rows]

    def decide(
        self, name: str, state: SceneState, *, by: str, revision: int | None = None
    ) -> SceneRevision:
        """Approve or archive a revision.

        Args:
            revision: ``None``: the newest one to approve; all of them to archive.

        Raises:
            NotFoundError: There is no such revision.
        """
        known = self.history(name)
        if revision is not None:
            known = [each for each in known if each.revision == revision]
        elif state is not SceneState.ARCHIVED:
            known = known[:1]
        if not known:
            raise NotFoundError("revision of the scene", f"{name}@{revision}", "scene show")
        change = (
            update(scenes)
            .where(scenes.c.name == name, scenes.c.state != state)
            .where(scenes.c.revision.in_([each.revision for each in known]))
            .values(state=state, decided_by=by, decided_at=self._database.now())
        )
        with self._database.write() as connection:
            connection.execute(change)
        return next(each for each in self.history(name) if revision in (None, each.revision))


def _of(name: str) -> Select[Any]:
    """The revisions of a name, newest first."""
    return select(scenes).where(scenes.c.name == name).order_by(scenes.c.revision.desc())


def _revision(row: Any) -> SceneRevision:
    return SceneRevision(
        name=row.name,
        revision=row.revision,
        state=SceneState(row.state),
        picture=ScenePicture(
            digest=row.digest,
            content_type=row.content_type,
            view=SceneView.from_json(row.view),
            confidence=row.confidence,
            provider=row.provider,
            model=row.model,
            prompt=row.prompt,
            cost=row.cost,
        ),
        made_by=row.made_by,
        made_at=row.made_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
    )
