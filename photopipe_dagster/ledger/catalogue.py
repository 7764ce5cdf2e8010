"""What is known of Shopify: which product a SKU is, and which media we made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tables import media, products


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """A product of Shopify that a SKU was found to be."""

    sku: str
    product_id: str
    handle: str | None
    title: str | None
    synced_at: datetime


@dataclass(frozen=True, slots=True)
class KnownMedia:
    """A media that we made on Shopify."""

    filename: str
    job_id: str
    media_id: str
    product_id: str | None
    attached_at: datetime | None


class Catalogue:
    """The SKU map and the media book of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def product(self, sku: str) -> KnownProduct | None:
        """The product that a SKU was found to be."""
        row = self._database.one(select(products).where(products.c.sku == sku))
        return None if row is None else KnownProduct(**row._mapping)

    def remember_product(
        self, sku: str, product_id: str, *, handle: str | None, title: str | None
    ) -> None:
        """Keep which product a SKU is."""
        found = {
            "product_id": product_id,
            "handle": handle,
            "title": title,
            "synced_at": self._database.now(),
        }
        statement = self._database.insert(products).values(sku=sku, **found)
        statement = statement.on_conflict_do_update(index_elements=["sku"], set_=found)
        with self._database.write() as connection:
            connection.execute(statement)

    def forget_product(self, sku: str) -> None:
        """Drop a SKU from the map: its product is gone or is another one now."""
        with self._database.write() as connection:
            connection.execute(delete(products).where(products.c.sku == sku))

    def media(self, filename: str) -> KnownMedia | None:
        """The media made under a file name."""
        row = self._database.one(select(media).where(media.c.filename == filename))
        if row is None:
            return None
        return KnownMedia(row.filename, row.job_id, row.media_id, row.product_id, row.attached_at)

    def created_media(self, filename: str, job_id: str, media_id: str) -> None:
        """Shopify made a media: keep its id before waiting for it."""
        made = {"job_id": job_id, "media_id": media_id, "created_at": self._database.now()}
        statement = self._database.insert(media).values(filename=filename, **made)
        statement = statement.on_conflict_do_update(
            index_elements=["filename"], set_=made | {"product_id": None, "attached_at": None}
        )
        with self._database.write() as connection:
            connection.execute(statement)

    def attached_media(self, filename: str, product_id: str) -> None:
        """The media stands on a product."""
        with self._database.write() as connection:
            connection.execute(
                update(media)
                .where(media.c.filename == filename)
                .values(product_id=product_id, attached_at=self._database.now())
            )
