"""Scenes as people bring and change them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.imaging.scene_estimate import estimate_scene
from photopipe_dagster.imaging.scene_view import LIGHT_FIELDS, MAX_PIXELS, SAID, SceneView
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.scenes import ScenePicture, SceneRevision, SceneState, scene_key
from photopipe_dagster.storage.base import ObjectStore

NOT_LOOKED_FOR: Final = (
    "Photopipe does not look for people or products in a scene: look at it before you approve it."
)


def add_scene(
    ledger: Ledger,
    store: ObjectStore,
    name: str,
    data: bytes,
    *,
    by: str,
    said: Mapping[str, Any] | None = None,
    approve: bool = False,
) -> SceneRevision:
    """Keep a picture of the shop's own as the next revision of a scene.

    What nobody says is estimated from the picture, with how sure that is.

    Args:
        said: What a person says of it, by the names of `scene_view.SAID`.
        approve: It may be used at once.

    Raises:
        PhotoRejectedError: The picture, or something said of it, is not what it must be.
        PhotopipeError: The name is none.
        StorageError: The picture could not be stored.
    """
    estimate = estimate_scene(data)
    content_type = inspect(data, max_pixels=MAX_PIXELS).content_type
    said = {key: value for key, value in (said or {}).items() if value is not None}
    picture = ScenePicture(
        digest(data),
        content_type,
        changed(estimate.view, said),
        {key: sure for key, sure in estimate.confidence.items() if key not in said},
    )
    store.put(scene_key(name, picture.digest, content_type), data, content_type=content_type)
    state = SceneState.APPROVED if approve else SceneState.DRAFT
    return ledger.scenes.add(name, picture, by=by, state=state)


def change_scene(
    ledger: Ledger, name: str, revision: int, said: Mapping[str, Any], *, by: str
) -> SceneRevision:
    """Add a revision of the same picture of which something else is known.

    Args:
        revision: The newest one that the person has seen.
        said: As for `add_scene`.

    Raises:
        NotFoundError: There is no such scene.
        ConflictError: Somebody has changed it meanwhile.
        PhotoRejectedError: Something said is not what it must be.
    """
    newest = ledger.scenes.history(name)[0]
    said = {key: value for key, value in said.items() if value is not None}
    picture = replace(
        newest.picture,
        view=changed(newest.view, said),
        confidence={
            key: sure for key, sure in newest.picture.confidence.items() if key not in said
        },
    )
    return ledger.scenes.add(name, picture, by=by, based_on=revision)


def read_said(texts: Iterable[str]) -> dict[str, Any]:
    """What a person says of a scene, from texts such as ``ground=0.8``; see `scene_view.SAID`.

    Raises:
        PhotoRejectedError: One has no such form.
    """
    said: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            numbers = tuple(float(part) for part in value.split(","))
            said[name.strip()] = numbers if len(numbers) > 1 else numbers[0]
        except ValueError:
            raise PhotoRejectedError(
                f"{text[:80]!r} says nothing of a scene. Write ground=0.8, or stand=0.2,0.8."
            ) from None
    return said


def changed(view: SceneView, said: Mapping[str, Any]) -> SceneView:
    """A view with what a person says of it, by the names of `scene_view.SAID`.

    Raises:
        PhotoRejectedError: A value is not what it must be.
    """
    unknown = set(said) - set(SAID)
    if unknown:
        raise PhotoRejectedError(
            f"A scene has no {', '.join(sorted(unknown))}. Say: {', '.join(SAID)}."
        )
    lit = {field: said[name] for name, field in LIGHT_FIELDS.items() if name in said}
    own = {name: said[name] for name in SAID if name in said and name not in LIGHT_FIELDS}
    try:
        light = replace(view.light, **lit)
        return replace(view, **own, light=replace(light, plain=bool(light.plain)))
    except (TypeError, ValueError) as error:
        raise PhotoRejectedError(f"The scene cannot be so: {error}.") from None
