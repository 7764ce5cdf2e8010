"""Whether a product lies or hangs in its photos: by a person's word, else by the shop's."""

from __future__ import annotations

from dataclasses import dataclass

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.publishing.product_kind import told_of


@dataclass(frozen=True, slots=True)
class Lying:
    """That a product lies or hangs in its photo, whatever its outline says.

    Args:
        why: For a person.
        said: Whether a person has said so, so that nobody need be asked about it.
    """

    why: str
    said: bool


def lying(settings: Settings, sku: str, known: KnownProduct | None) -> Lying | None:
    """Whether a product lies or hangs in its photos: a person's word goes before the shop's.

    Args:
        known: What is known of it, if anything.
    """
    if settings.lies(sku):
        return Lying("LYING_SKUS names it", said=True)
    if known is None or settings.stands(sku):
        return None
    told = told_of(known)
    return Lying(told.why, said=False) if told is not None and told.kind.lies else None
