"""The stages of a photo, and all that never changes about each, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from photopipe_dagster.core.errors import ErrorCode


class Stage(StrEnum):
    """The stages of a photo in order; also the names of the five assets."""

    ORIGINAL = "original"
    MASK = "mask"
    BACKGROUND = "background"
    COMPOSITE = "composite"
    SHOPIFY_MEDIA = "shopify_media"


STAGES: Final[tuple[Stage, ...]] = tuple(Stage)


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What never changes about a stage.

    Args:
        version: Raise it when the stage's code makes another picture from the same input.
        label: What people read.
        inputs: The stages whose pictures it needs.
        made_of: Those of them whose pictures go into its own, and so into its recipe: of a mask a
            background needs the size alone.
        status: Of a job whose photo is in this stage.
        status_after: Of a job whose photo has been through it: the end of a stage is the beginning
            of the next, one write to the ledger a stage.
        bad_picture: The code of a photo that fails because this picture is not good enough.
        folder: First part of its pictures' object keys; empty for what the shop keeps.
        content_type: Of its pictures, which also decides the extension of their object keys.
        of_theme: Whether each theme has a picture of its own.
        route: How the REST API calls its completion by an external orchestrator; empty: it cannot
            be told.
    """

    version: int
    label: str
    inputs: tuple[Stage, ...]
    made_of: tuple[Stage, ...]
    status: str
    status_after: str
    bad_picture: ErrorCode
    folder: str = ""
    content_type: str = "image/jpeg"
    of_theme: bool = False
    route: str = ""

    @property
    def extension(self) -> str:
        """Of its object keys: an original keeps its key whatever its true type is."""
        return "png" if self.content_type == "image/png" else "jpg"


SPECS: Final[Mapping[Stage, StageSpec]] = {
    Stage.ORIGINAL: StageSpec(
        version=1,
        label="Original",
        inputs=(),
        made_of=(),
        status="QUEUED",
        status_after="SEGMENTING",
        bad_picture=ErrorCode.VALIDATION_ERROR,
        folder="originals",
    ),
    Stage.MASK: StageSpec(
        version=1,
        label="Cut-out",
        inputs=(Stage.ORIGINAL,),
        made_of=(Stage.ORIGINAL,),
        status="SEGMENTING",
        status_after="BG_GENERATING",
        bad_picture=ErrorCode.SEGMENTATION_ERROR,
        folder="masks",
        content_type="image/png",
        route="segmentation",
    ),
    Stage.BACKGROUND: StageSpec(
        version=1,
        label="Background",
        inputs=(Stage.MASK,),
        made_of=(),
        status="BG_GENERATING",
        status_after="COMPOSITING",
        bad_picture=ErrorCode.BACKGROUND_ERROR,
        folder="backgrounds",
        of_theme=True,
        route="backgrounds",
    ),
    Stage.COMPOSITE: StageSpec(
        version=3,
        label="Composite",
        inputs=(Stage.MASK, Stage.BACKGROUND),
        made_of=(Stage.MASK, Stage.BACKGROUND),
        status="COMPOSITING",
        status_after="SHOPIFY_PUSH",
        bad_picture=ErrorCode.COMPOSITE_ERROR,
        folder="composites",
        of_theme=True,
        route="composite",
    ),
    Stage.SHOPIFY_MEDIA: StageSpec(
        version=1,
        label="Publishing",
        inputs=(Stage.COMPOSITE,),
        made_of=(Stage.COMPOSITE,),
        status="SHOPIFY_PUSH",
        status_after="DONE",
        bad_picture=ErrorCode.SHOPIFY_ERROR,
        route="shopify",
    ),
}

STORED: Final[tuple[Stage, ...]] = tuple(stage for stage in STAGES if SPECS[stage].folder)
"""Stages whose pictures are in the object store."""
