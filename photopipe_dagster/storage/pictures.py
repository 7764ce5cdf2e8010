"""What is known of a stored picture: the recipe that made it, its digest, its facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from photopipe_dagster.storage.base import ObjectInfo

RECIPE: Final = "recipe"
DIGEST: Final = "sha256"


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture in the object store.

    Args:
        facts: What its maker wrote down: ``width``, ``height``, ``provider``, ``model`` …
    """

    key: str
    recipe: str
    digest: str
    facts: dict[str, str]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return int(self.facts["width"]), int(self.facts["height"])


def stored_picture(info: ObjectInfo) -> StoredPicture | None:
    """A picture that is described by its object; ``None`` if no stage made it."""
    facts = dict(info.metadata)
    try:
        return StoredPicture(info.key, facts.pop(RECIPE), facts.pop(DIGEST), facts)
    except KeyError:
        return None  # put there by somebody else: what made it is not known
