"""Pictures in the object store: the recipe that made each, its digest, and typed facts of it.

Object metadata is text. It becomes typed facts here, and nowhere else; whether a picture was just
made or found, its facts are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from photopipe_dagster.core.recipe import digest
from photopipe_dagster.storage.base import ObjectInfo, ObjectStore, StoredObject

RECIPE: Final = "recipe"
DIGEST: Final = "sha256"

PERSON: Final = "person"
"""In the place of a provider: a person has repaired the cut-out."""


def _read_box(value: object) -> object:
    return value.split() if isinstance(value, str) else value


Box = Annotated[
    tuple[int, int, int, int],
    BeforeValidator(_read_box),
    PlainSerializer(lambda box: " ".join(map(str, box)), str),
]
"""Left, top, right and bottom, pixels; right and bottom are exclusive."""


class Facts(BaseModel):
    """What is known of a stage's result beside its bytes.

    What a provider tells beyond the declared fields is kept as text.
    """

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    def to_metadata(self) -> dict[str, str]:
        """The facts as object metadata; those that are not known are left out."""
        return {name: str(value) for name, value in self.shown().items()}

    def shown(self) -> dict[str, Any]:
        """The facts for people: text, numbers and booleans, and only those that are known."""
        return self.model_dump(exclude_none=True)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """Read facts back.

        Raises:
            ValidationError: One is not what it must be.
        """
        return cls.model_validate(
            {name: value for name, value in metadata.items() if name not in (RECIPE, DIGEST)}
        )


class PictureFacts(Facts):
    """Of any picture. Width and height are pixels, as displayed."""

    width: int
    height: int
    provider: str | None = None
    model: str | None = None
    seconds: float | None = None
    resumed: bool | None = None
    delivered_width: int | None = None
    delivered_height: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height


class OriginalFacts(PictureFacts):
    """Of a photo. ``content_type`` is its true MIME type."""

    format: str | None = None
    content_type: str


class CutoutFacts(PictureFacts):
    """Of a cut-out; all but ``coverage`` of one by the local network alone.

    ``raw_maximum``, 0 to 1: how sure the network was of a product. ``disagreement``: area where its
    looks contradict each other, share of the product's. ``ground_share``, 0 to 1: share of the
    product's area that has the colour of a plain ground. ``raw_iou``, 0 to 1: overlap of the
    cut-out with what the first look alone saw. ``witness_iou``, 0 to 1: overlap of the second look
    with the witness's. ``spread``, ``doubt_inside`` and ``doubt_outside``: how unsure the first
    three looks were, see `agreement.Doubts`.
    """

    raw_maximum: float | None = None
    coverage: float | None = None
    disagreement: float | None = None
    ground_share: float | None = None
    raw_iou: float | None = None
    witness_iou: float | None = None
    spread: float | None = None
    doubt_inside: float | None = None
    doubt_outside: float | None = None


class BackgroundFacts(PictureFacts):
    """Of a background. ``scene``: that it is a part of, as ``name@revision``."""

    seed: int | None = None
    scene: str | None = None


class CompositeFacts(PictureFacts):
    """Of a composite; of one that was made outside, its size alone.

    ``coverage`` and ``frame_share`` are shares of the picture, 0 to 1; ``delta_e_median`` and
    ``delta_e_p99`` are ΔE2000 of the product's opaque pixels against the cut-out's. In a scene:
    ``ground`` is where the product's lower end is, a share of the height; ``optical`` its optical
    size, see `placement.Stand`; ``shadow`` the direction that its light comes from, degrees as
    `light.Light` has them, where a shadow is thrown; ``scaled_by`` what has decided its size.
    """

    srgb: bool | None = None
    coverage: float | None = None
    box: Box | None = None
    frame_share: float | None = None
    scale: float | None = None
    pose: str | None = None
    jpeg: str | None = None
    delta_e_median: float | None = None
    delta_e_p99: float | None = None
    structure: float | None = None
    edges: float | None = None
    firmness: float | None = None
    steepness: float | None = None
    white: float | None = None
    digital_source_type: str | None = None
    scene: str | None = None
    ground: float | None = None
    optical: float | None = None
    shadow: float | None = None
    scaled_by: str | None = None
    height_cm: float | None = None


class PublishedFacts(Facts):
    """Of a picture that stands on its product; the ids are the shop's."""

    product_id: str
    product_title: str = ""
    media_id: str
    filename: str
    url: str
    replaces_media_id: str | None = None


F = TypeVar("F", bound=Facts)
P = TypeVar("P", bound=PictureFacts)


@dataclass(frozen=True, slots=True)
class Artifact(Generic[F]):
    """What a stage has made.

    Args:
        key: Where it is stored; ``None`` for what the shop keeps.
        recipe: Digest of all that made it.
        digest: SHA-256 of its bytes, as hex.
    """

    key: str | None
    recipe: str
    digest: str
    facts: F


def described(info: ObjectInfo, facts: type[P]) -> Artifact[P] | None:
    """The picture that an object is; ``None`` if no stage made it."""
    try:
        return Artifact(
            info.key,
            info.metadata[RECIPE],
            info.metadata[DIGEST],
            facts.from_metadata(info.metadata),
        )
    except (KeyError, ValidationError):
        return None  # put there by somebody else: what made it is not known


def find_picture(store: ObjectStore, key: str, facts: type[P]) -> Artifact[P] | None:
    """The picture under a key, if one is there that a stage has made.

    Raises:
        StorageError: The store cannot be read.
    """
    info = store.head(key)
    return None if info is None else described(info, facts)


def is_sound(stored: StoredObject) -> bool:
    """Whether an object's bytes are those that were stored, as far as that is known."""
    recorded = stored.info.metadata.get(DIGEST)
    return recorded is None or recorded == digest(stored.data)


def put_picture(
    store: ObjectStore,
    key: str,
    data: bytes,
    *,
    content_type: str,
    recipe: str,
    facts: P,
    more: Mapping[str, str] | None = None,
) -> Artifact[P]:
    """Store a picture with what is known of it.

    Args:
        more: Further metadata, which is no fact of the picture.

    Raises:
        StorageError: The store cannot be written.
    """
    metadata = facts.to_metadata() | {RECIPE: recipe, DIGEST: digest(data)}
    store.put(key, data, content_type=content_type, metadata=metadata | dict(more or {}))
    return Artifact(key, recipe, metadata[DIGEST], type(facts).from_metadata(metadata))
