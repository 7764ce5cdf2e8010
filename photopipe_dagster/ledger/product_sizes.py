"""How large products are in life, by SKU, as the shop says: never as anybody guesses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import product_sizes

CLASSES: Final = ("XS", "S", "M", "L", "XL")
"""Of products, from the smallest to the largest."""

MAX_CM: Final = 2000.0

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class ProductSize:
    """What the shop says of a product's size.

    Args:
        height_cm: Its height as it stands.
        size_class: One of `CLASSES`.
        source: Who says so: ``csv``, ``webhook``, ``submit``.

    Raises:
        PhotopipeError: A value is not what it must be.
    """

    sku: str
    height_cm: float | None = None
    size_class: str | None = None
    source: str = "csv"

    def __post_init__(self) -> None:
        if not 0 < len(self.sku) <= MAX_SKU_CHARACTERS:
            raise PhotopipeError(f"A SKU has 1 to {MAX_SKU_CHARACTERS} characters.")
        if self.height_cm is not None and not 0 < self.height_cm <= MAX_CM:
            raise PhotopipeError(
                f"The height of {self.sku!r} is {self.height_cm} cm; it must be more than 0, and "
                f"at most {MAX_CM:.0f}."
            )
        if self.size_class is not None and self.size_class not in CLASSES:
            raise PhotopipeError(
                f"The size class of {self.sku!r} is {self.size_class!r}; choose one of "
                f"{', '.join(CLASSES)}."
            )


class ProductSizes:
    """The sizes of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, sku: str) -> ProductSize | None:
        """What is known of a product's size."""
        row = self._database.one(select(product_sizes).where(product_sizes.c.sku == sku))
        if row is None:
            return None
        return ProductSize(row.sku, row.height_cm, row.size_class, row.source)

    def put(self, sizes: Iterable[ProductSize]) -> int:
        """Keep sizes; what one leaves out stays as it is. Returns how many there were."""
        count = 0
        new = self._database.insert(product_sizes)
        statement = new.on_conflict_do_update(
            index_elements=["sku"],
            set_={
                "height_cm": func.coalesce(new.excluded.height_cm, product_sizes.c.height_cm),
                "size_class": func.coalesce(new.excluded.size_class, product_sizes.c.size_class),
                "source": new.excluded.source,
                "updated_at": new.excluded.updated_at,
            },
        )
        for page in batched(sizes, _PAGE):
            rows = [
                {
                    "sku": each.sku,
                    "height_cm": each.height_cm,
                    "size_class": each.size_class,
                    "source": each.source,
                    "updated_at": self._database.now(),
                }
                for each in page
            ]
            with self._database.write() as connection:
                connection.execute(statement, rows)
            count += len(rows)
        return count
