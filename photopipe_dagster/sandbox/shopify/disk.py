"""Keeps the simulated shop in a folder, so that what is published outlives its process.

    shop.json        products, files and the last number that was given
    files/<sha256>   the bytes of files

Uploads that became no file yet, tokens and the leaky bucket are forgotten.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from photopipe_dagster.core.atomic_file import create_file, replace_file
from photopipe_dagster.sandbox.shopify.records import MediaFile, Product
from photopipe_dagster.sandbox.shopify.store import ShopifyStore


@dataclass(frozen=True, slots=True)
class _Shop:
    last_number: int
    products: list[Product]
    files: list[MediaFile]
    """Without their bytes."""
    digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the bytes of each file that has some, by gid."""


_SHOPS: Final = TypeAdapter(_Shop)
_NOT_KEPT: Final = {"files": {"__all__": {"data": True, "loading": True}}}


class ShopOnDisk:
    """A folder with a shop.

    Args:
        store: The shop; filled with what the folder has.
        folder: Made where it is not there.

    Raises:
        OSError: It cannot be read.
        pydantic.ValidationError: It holds no shop.
    """

    def __init__(self, store: ShopifyStore, folder: Path) -> None:
        self._store = store
        self._index = folder / "shop.json"
        self._files = folder / "files"
        self._writing = threading.Lock()
        self._written = b""
        self._digests: dict[str, str] = {}
        if self._index.exists():
            self._load()

    def save(self) -> None:
        """Write what has changed.

        Raises:
            OSError: It could not be written.
        """
        with self._writing:
            with self._store.lock:
                files = list(self._store.files.values())
                digests = {file.id: self._keep(file) for file in files if file.data is not None}
                products = list(self._store.products.values())
                shop = _Shop(self._store.last_number, products, files, digests)
                index = _SHOPS.dump_json(shop, exclude=_NOT_KEPT)
            if index != self._written:
                replace_file(self._index, index)
                self._written = index

    def _keep(self, file: MediaFile) -> str:
        """Write a file's bytes, which never change, once; returns their digest."""
        digest = self._digests.get(file.id)
        if digest is None:
            data = file.data or b""
            digest = hashlib.sha256(data).hexdigest()
            create_file(self._files / digest, data)
            self._digests[file.id] = digest
        return digest

    def _load(self) -> None:
        shop = _SHOPS.validate_json(self._index.read_bytes())
        for file in shop.files:
            digest = shop.digests.get(file.id)
            if digest is not None:
                file.data = (self._files / digest).read_bytes()
        self._digests = dict(shop.digests)
        with self._store.lock:
            self._store.last_number = shop.last_number
            self._store.products = {product.id: product for product in shop.products}
            self._store.files = {file.id: file for file in shop.files}
