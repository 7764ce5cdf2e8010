"""A theme as one file: JSON, or a ZIP archive of it with the scenes that its products stand in."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, TypeAdapter, ValidationError

from photopipe_dagster.core.errors import ConflictError, InvalidRecordError, PhotoRejectedError
from photopipe_dagster.core.json_text import STRICT
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.imaging.scene_view import MAX_PIXELS, SceneView
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.scenes import ScenePicture, SceneRevision, SceneState, scene_key
from photopipe_dagster.operations.themes import (
    check_theme,
    copied,
    create_theme,
    find_theme,
    require_new,
)
from photopipe_dagster.runtime.scenes import scene_picture
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.themes.record import MAX_FILE_BYTES, as_file, described, read_file
from photopipe_dagster.themes.registry import ThemeRevision

MAX_ARCHIVE_BYTES: Final = 200_000_000
"""Of an archive, packed or not."""

_THEME_FILE: Final = "theme.json"
_ZIP: Final = b"PK\x03\x04"
_ENTRY: Final = b"PK\x01\x02"
"""Begins what the directory of an archive says of a file."""
_MOST_FILES: Final = 1000
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,  # it is encrypted, or packed in a way that is not known here
    ValueError,  # a name in it is no text
    EOFError,
    OSError,
)
_STAMP: Final = (2020, 1, 1, 0, 0, 0)
"""The moment of all files in an archive: the same theme is the same bytes."""


@dataclass(frozen=True, slots=True)
class ThemeFile:
    """A file to be kept or sent.

    Args:
        suffix: ``json`` or ``zip``.
    """

    data: bytes
    content_type: str
    suffix: str


@dataclass(frozen=True, slots=True)
class _Scene:
    """What an archive says of a scene, beside its picture."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    view: SceneView
    provider: Annotated[str, Field(max_length=32)]
    model: Annotated[str, Field(max_length=128)] | None = None
    prompt: Annotated[str, Field(max_length=4000)] | None = None


_SCENE: Final = TypeAdapter(_Scene)


def export_theme(ledger: Ledger, store: ObjectStore, name: str) -> ThemeFile:
    """A theme as a file; with its scenes as they are approved now, if it has any.

    Raises:
        NotFoundError: There is no such theme.
        ProviderError: The picture of a scene is lost.
        ConflictError: A scene has no approved revision.
    """
    theme = find_theme(ledger, name)
    if not theme.scenes:
        return ThemeFile(as_file(theme), "application/json", "json")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(_THEME_FILE, _STAMP), as_file(theme))
        for scene_name in theme.scenes:
            scene = ledger.scenes.approved(scene_name)
            if scene is None:
                raise ConflictError(
                    f"The scene {scene_name} has no approved revision. Approve one "
                    f"(`photopipe scene approve {scene_name}`), and export the theme again."
                )
            about = _Scene(
                scene.view, scene.picture.provider, scene.picture.model, scene.picture.prompt
            )
            suffix = PurePosixPath(scene.object_key).suffix
            described_as = json.dumps(asdict(about), indent=2)
            archive.writestr(zipfile.ZipInfo(f"scenes/{scene_name}.json", _STAMP), described_as)
            picture = zipfile.ZipInfo(f"scenes/{scene_name}{suffix}", _STAMP)
            archive.writestr(picture, scene_picture(store, scene))
    return ThemeFile(file.getvalue(), "application/zip", "zip")


def import_theme(
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    data: bytes,
    *,
    by: str,
    name: str | None = None,
) -> ThemeRevision:
    """Make a theme of a file, and the scenes that come with it. They are approved with it.

    Nothing is made where one of them cannot be.

    Args:
        name: Another one than the file's.

    Raises:
        InvalidRecordError: It is no such file, or the theme cannot work; names the field.
        ConflictError: There is a theme of that name, or a scene with another picture.
        StorageError: A picture could not be stored.
    """
    archive = _opened(data) if data.startswith(_ZIP) else None
    theme = read_file(data if archive is None else _member(archive, _THEME_FILE, MAX_FILE_BYTES))
    if name:
        theme = copied(theme, name)
    require_new(ledger, theme.name)
    brought = theme.scenes if archive is not None else ()
    check_theme(settings, ledger, theme, brought=brought)
    if archive is not None:
        pictures = [_scene(archive, each) for each in theme.scenes]
        for scene_name, (picture, _) in zip(theme.scenes, pictures, strict=True):
            _require_same(ledger.scenes.approved(scene_name), scene_name, picture)
        for scene_name, (picture, content) in zip(theme.scenes, pictures, strict=True):
            key = scene_key(scene_name, picture.digest, picture.content_type)
            store.put(key, content, content_type=picture.content_type)
            ledger.scenes.add(scene_name, picture, by=by, state=SceneState.APPROVED)
    return create_theme(settings, ledger, theme, by=by)


def _require_same(known: SceneRevision | None, name: str, picture: ScenePicture) -> None:
    if known is not None and known.picture.digest != picture.digest:
        raise ConflictError(
            f"There is a scene {name} already, with another picture. Archive it, or change the "
            "name in the archive."
        )


def _opened(data: bytes) -> zipfile.ZipFile:
    if len(data) > MAX_ARCHIVE_BYTES:
        raise InvalidRecordError(
            f"The archive has {len(data):,} bytes; {MAX_ARCHIVE_BYTES:,} at most are read."
        )
    try:
        if data.count(_ENTRY) > _MOST_FILES:  # before `ZipFile` makes an object of each
            raise zipfile.BadZipFile
        archive = zipfile.ZipFile(io.BytesIO(data))
        size = sum(each.file_size for each in archive.infolist())
    except _UNREADABLE:
        raise InvalidRecordError("The archive is damaged. Export the theme again.") from None
    if size > MAX_ARCHIVE_BYTES:
        raise InvalidRecordError(
            f"What is in the archive has {size:,} bytes; {MAX_ARCHIVE_BYTES:,} at most are read."
        )
    return archive


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A file of an archive, by its name: nothing is unpacked to a disk."""
    try:
        member = archive.getinfo(name)
        if member.file_size > most:
            raise InvalidRecordError(f"{name} in the archive has more than {most:,} bytes.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NotImplementedError  # others are unpacked whole, whatever size they claim
        with archive.open(member) as file:
            # Unlike `ZipFile.read`, this unpacks no more than it is asked for.
            return file.read(member.file_size + 1)
    except KeyError:
        raise InvalidRecordError(f"The archive has no {name}. Export the theme again.") from None
    except _UNREADABLE:
        raise InvalidRecordError(
            f"{name} in the archive cannot be read. Export the theme again."
        ) from None


def _scene(archive: zipfile.ZipFile, name: str) -> tuple[ScenePicture, bytes]:
    about = _member(archive, f"scenes/{name}.json", MAX_FILE_BYTES)
    try:
        scene = _SCENE.validate_json(about)
    except ValidationError as error:
        raise InvalidRecordError(f"scenes/{name}.json: {described(error)}") from None
    stems = {
        each
        for each in archive.namelist()
        if PurePosixPath(each).parent.name == "scenes" and PurePosixPath(each).stem == name
    }
    [*pictures] = stems - {f"scenes/{name}.json"}
    if len(pictures) != 1:
        raise InvalidRecordError(f"The archive has no picture of the scene {name}, or several.")
    content = _member(archive, pictures[0], MAX_ARCHIVE_BYTES)
    try:
        info = inspect(content, max_pixels=MAX_PIXELS)
    except PhotoRejectedError as error:
        raise InvalidRecordError(f"{pictures[0]}: {error.message}") from None
    if (info.width, info.height) != (scene.view.width, scene.view.height):
        raise InvalidRecordError(
            f"{pictures[0]} has {info.width} × {info.height} pixels, and scenes/{name}.json says "
            f"{scene.view.width} × {scene.view.height}."
        )
    made = scene.provider, scene.model, scene.prompt
    return ScenePicture(digest(content), info.content_type, scene.view, {}, *made), content
