"""What is known of the shop: which product a SKU is, and which media we made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from unicodedata import normalize

from sqlalchemy import Update, bindparam, delete, func, insert, select, update

from photopipe_dagster.core.batched import batched
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.database import Database, upsert
from photopipe_dagster.ledger.tables import jobs, media, products, shop_skus

_TEXTS_A_QUERY: Final = 500


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """A product of the shop that a SKU was found to be, as the shop described it.

    Args:
        category_id: Of Shopify's standard taxonomy; ``None`` if the product has no category, or was
            found before it was asked for.
        category: Its full name.
        product_type: The merchant's own word for its kind.
    """

    sku: str
    product_id: str
    handle: str | None
    title: str | None
    synced_at: datetime
    category_id: str | None = None
    category: str | None = None
    product_type: str | None = None


@dataclass(frozen=True, slots=True)
class KnownMedia:
    """A media that we made in the shop.

    Args:
        product_id: Where it was put; ``None`` if that is not known to have happened.
        replaces_media_id: The earlier media of the job in whose place it was put.
        detached_at: When it gave way to another, or was unpublished. Until then it may stand on
            its product, even if `attached_at` is not known.
        restored_at: When it came back because its successor was unpublished.
    """

    filename: str
    job_id: str
    media_id: str
    product_id: str | None
    created_at: datetime
    attached_at: datetime | None
    replaces_media_id: str | None
    detached_at: datetime | None
    restored_at: datetime | None

    def may_stand_on(self, product_id: str) -> bool:
        """Whether, as far as the ledger knows, it can be among that product's media."""
        return self.detached_at is None and self.product_id in (None, product_id)


# Built once: SQLAlchemy takes longer to build a statement than to run it.

_PRODUCT: Final = select(products).where(products.c.sku == bindparam("sku"))

_KNOWN_PRODUCT: Final = upsert(products, "sku", [column.name for column in products.columns])

_MEDIA_COLUMNS: Final = [column.name for column in media.columns]
_NEW_MEDIA: Final = upsert(media, "filename", _MEDIA_COLUMNS)

_MEDIA_OF_JOB: Final = (
    select(media)
    .where(media.c.job_id == bindparam("job"))
    .order_by(func.coalesce(media.c.attached_at, media.c.created_at).desc(), media.c.filename)
)

_CHANGED_MEDIA: Final = update(media).where(media.c.filename == bindparam("file"))


class Catalogue:
    """The SKU map and the media book of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def product(self, sku: str) -> KnownProduct | None:
        """The product that a SKU was found to be."""
        row = self._database.one(_PRODUCT, {"sku": sku})
        return None if row is None else KnownProduct(**row._mapping)

    def titles(self, skus: Collection[str]) -> dict[str, str]:
        """The titles of products by SKU, as far as the shop has told them."""
        found: dict[str, str] = {}
        for table in (shop_skus, products):
            for some in batched(set(skus), _TEXTS_A_QUERY):
                query = select(table.c.sku, table.c.title).where(
                    table.c.sku.in_(some), table.c.title.is_not(None)
                )
                found |= {row.sku: row.title for row in self._database.all(query)}
        return found

    def skus_named(self, texts: Iterable[str]) -> dict[str, set[str]]:
        """The SKUs that the shop or a photo has had, by each text that is one, or is its barcode.

        Args:
            texts: In Unicode's normal form C; a SKU of another form is found by it too.
        """
        forms = {normalize(form, text) for text in texts for form in ("NFC", "NFD")}
        found: dict[str, set[str]] = defaultdict(set)
        for some in batched(sorted(forms), _TEXTS_A_QUERY):
            for text, sku in (
                *((table.c.sku, table.c.sku) for table in (shop_skus, products, jobs)),
                (shop_skus.c.barcode, shop_skus.c.sku),
            ):
                query = select(text.label("text"), sku.label("sku")).where(text.in_(some))
                for row in self._database.all(query.distinct()):
                    found[normalize("NFC", row.text)].add(row.sku)
        return found

    def replace_skus(self, listed: Iterable[Mapping[str, str | None]]) -> int:
        """Keep the shop's list of SKUs in place of an earlier one; how many it has.

        Args:
            listed: ``sku``, ``barcode`` and ``title`` of each; of a SKU listed twice the first.
        """
        rows: dict[str | None, Mapping[str, str | None]] = {}
        for each in listed:
            rows.setdefault(each["sku"], each)
        with self._database.write() as connection:
            connection.execute(delete(shop_skus))
            for some in batched(rows.values(), 1000):
                connection.execute(insert(shop_skus), some)
        return len(rows)

    def like(self, text: str, *, limit: int) -> dict[str, str | None]:
        """SKUs of products that contain a text, or whose title does, with their titles."""
        found: dict[str, str | None] = {}
        for table in (shop_skus, products):
            alike = table.c.sku.icontains(text, autoescape=True) | table.c.title.icontains(
                text, autoescape=True
            )
            query = select(table.c.sku, table.c.title).where(alike).order_by(table.c.sku)
            found |= {row.sku: row.title for row in self._database.all(query.limit(limit))}
        return dict(sorted(found.items())[:limit])

    def remember_product(self, sku: str, product_id: str, **said: str | None) -> KnownProduct:
        """Keep which product a SKU is.

        Args:
            said: How the shop describes it: the other fields of `KnownProduct`.
        """
        known = KnownProduct(sku, product_id, synced_at=self._database.now(), **said)
        with self._database.write() as connection:
            connection.execute(_KNOWN_PRODUCT, asdict(known))
        return known

    def forget_product(self, sku: str) -> None:
        """Drop a SKU from the map: its product is gone or is another one now."""
        with self._database.write() as connection:
            connection.execute(delete(products).where(products.c.sku == sku))

    def media(self, filename: str) -> KnownMedia | None:
        """The media made under a file name."""
        row = self._database.one(select(media).where(media.c.filename == filename))
        return None if row is None else KnownMedia(**row._mapping)

    def media_of_job(self, job_id: str) -> list[KnownMedia]:
        """All media that were made for a job, the last one that was put on a product first."""
        rows = self._database.all(_MEDIA_OF_JOB, {"job": job_id})
        return [KnownMedia(**row._mapping) for row in rows]

    def same_picture(self, key: PhotoKey, product_id: str) -> list[KnownMedia]:
        """Media on a product that show the same photo in the same theme, under another SKU."""
        query = (
            select(media)
            .join(jobs, jobs.c.id == media.c.job_id)
            .join(products, products.c.sku == jobs.c.sku)
            .where(products.c.product_id == product_id, media.c.product_id == product_id)
            .where(jobs.c.sha256 == key.sha256, jobs.c.theme == key.theme, jobs.c.sku != key.sku)
            .where(media.c.attached_at.is_not(None), media.c.detached_at.is_(None))
            .where(media.c.restored_at.is_(None))
            .order_by(media.c.attached_at, media.c.filename)
        )
        return [KnownMedia(**row._mapping) for row in self._database.all(query)]

    def job_of_media(self, media_id: str) -> str | None:
        """The job that a media was made for."""
        return self._database.value(select(media.c.job_id).where(media.c.media_id == media_id))

    def created_media(self, filename: str, job_id: str, media_id: str) -> None:
        """The shop made a media: keep its id before waiting for it."""
        made = {
            "filename": filename,
            "job_id": job_id,
            "media_id": media_id,
            "created_at": self._database.now(),
        }
        with self._database.write() as connection:
            connection.execute(_NEW_MEDIA, dict.fromkeys(_MEDIA_COLUMNS) | made)

    def replacing_media(self, filename: str, replaced: str | None) -> None:
        """A media stands in another's place: keep whose, before that one is taken away.

        Args:
            replaced: Id of the other; ``None`` if there is none.
        """
        with self._database.write() as connection:
            connection.execute(_CHANGED_MEDIA, {"file": filename, "replaces_media_id": replaced})

    def attached_media(self, filename: str, product_id: str, gone: Collection[str] = ()) -> None:
        """The media stands on a product.

        Args:
            gone: Ids of those that stand there no longer, because this one does.
        """
        now = self._database.now()
        stands = {"product_id": product_id, "attached_at": now}
        again = {"detached_at": None, "restored_at": None}
        with self._database.write() as connection:
            connection.execute(_CHANGED_MEDIA, {"file": filename, **stands, **again})
            if gone:
                connection.execute(_detached(gone, now))

    def unpublished_media(self, gone: Collection[str], restored: str | None) -> None:
        """Media were taken off their product, and an earlier one may be back there.

        Args:
            gone: Ids of those that were taken off.
            restored: Id of the one that is back.
        """
        now = self._database.now()
        back = {"attached_at": now, "detached_at": None, "restored_at": now}
        with self._database.write() as connection:
            connection.execute(_detached(gone, now))
            if restored is not None:
                connection.execute(update(media).where(media.c.media_id == restored).values(back))


def _detached(media_ids: Collection[str], now: datetime) -> Update:
    return update(media).where(media.c.media_id.in_(media_ids)).values(detached_at=now)
