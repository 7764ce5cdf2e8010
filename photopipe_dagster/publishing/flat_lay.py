"""Whether a product lies or hangs in its photos: by a person's word, else by the shop's."""

from __future__ import annotations

from dataclasses import dataclass

from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.catalogue import KnownProduct
from photopipe_dagster.publishing.product_kind import told_of


@dataclass(frozen=True, slots=True)
class FlatLay:
    """That a product lies or hangs in its photo, whatever its outline says.

    Args:
        reason: For a person.
        set_by_person: Whether a person has said so, so that nobody need be asked about it.
    """

    reason: str
    set_by_person: bool


def flat_lay_of(settings: Settings, sku: str, known: KnownProduct | None) -> FlatLay | None:
    """Whether a product lies or hangs in its photos: a person's word goes before the shop's.

    Args:
        known: What is known of it, if anything.
    """
    if settings.is_flat_lay(sku):
        return FlatLay("FLAT_LAY_SKUS names it", set_by_person=True)
    if known is None or settings.is_upright(sku):
        return None
    told = told_of(known)
    return (
        FlatLay(told.why, set_by_person=False) if told is not None and told.kind.flat_lay else None
    )
