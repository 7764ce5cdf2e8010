"""The Dagster face of the object store: load any asset of any photo, and keep reports.

The stages store their pictures themselves and tell Dagster by events, so for pictures this is
above all a reader: ``defs.load_asset_value("composite", partition_key=…)`` returns its bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import dagster as dg

from photopipe_dagster.core.csv_cells import harmless
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.storage.base import ObjectStore

REPORTS: Final = "reports"
"""First part of the keys of reports, and of the asset keys that may name them."""

_CSV: Final = "text/csv; charset=utf-8"
_PARQUET: Final = "application/vnd.apache.parquet"

_SIGNATURES: Final = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"RIFF": "image/webp",
}


class PictureIOManager(dg.IOManager):
    """Loads pictures as bytes and reports as pandas DataFrames; stores what an asset returns.

    An asset whose key ends with the name of a stage is a picture, at `PhotoKey.object_key` of its
    partition; any other asset is a report, at ``reports/{asset}/{partition}.csv`` and
    ``.parquet`` (``latest`` where it has no partitions).

    Args:
        open_store: Gives the object store; called whenever it is needed.
        variant: Which of its backgrounds a photo has now; the first where not given.
    """

    def __init__(
        self,
        open_store: Callable[[], ObjectStore],
        variant: Callable[[PhotoKey], int] = lambda _: 1,
    ) -> None:
        self._open_store = open_store
        self._variant = variant

    def load_input(self, context: dg.InputContext) -> Any:
        """Bytes of a picture, or the DataFrame of a report; of several partitions a dict of them.

        The input's metadata ``variant`` asks for another background or composite than the photo
        has now.

        Raises:
            LookupError: There is no such object; says what to do.
            PhotoRejectedError: The partition key is none of ours.
            StorageError: The store failed.
        """
        stage = _stage(context.asset_key)
        asked = context.definition_metadata.get("variant")
        variant = None if asked is None else int(asked)

        def load(partition: str | None) -> Any:
            if stage is None:
                return self._load_report(context.asset_key, partition)
            return self._load_picture(stage, partition, variant)

        if not context.has_asset_partitions:
            return load(None)
        partitions = context.asset_partition_keys
        if len(partitions) == 1:
            return load(partitions[0])
        return {partition: load(partition) for partition in partitions}

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store a returned picture (bytes) or report (DataFrame); of several partitions a dict.

        Returning ``None`` stores nothing: the asset has stored its objects itself. A picture that
        is already there with the same bytes is left as it is, with its recipe.

        Raises:
            TypeError: The value is of another type.
            StorageError: The store failed.
        """
        if obj is None:
            return
        stage = _stage(context.asset_key)
        partitions = context.asset_partition_keys if context.has_asset_partitions else [None]
        values = {partitions[0]: obj} if len(partitions) == 1 else obj
        if not isinstance(values, Mapping) or set(values) != set(partitions):
            raise TypeError(
                f"{context.asset_key.to_user_string()} was made for {len(partitions)} partitions: "
                "return a dict from each partition key to its value."
            )
        keys = []
        for partition, value in values.items():
            if stage is None:
                keys.append(self._store_report(context.asset_key, partition, value))
            else:
                keys.append(self._store_picture(stage, partition, value))
        context.add_output_metadata({"object_keys": keys})

    # --- pictures ------------------------------------------------------------------------

    def _load_picture(self, stage: Stage, partition: str | None, variant: int | None) -> bytes:
        key = self._picture_key(stage, partition, variant)
        found = self._open_store().get(key)
        if found is None:
            raise LookupError(
                f"There is no {stage} of {partition}: {key} is not in the object store. "
                "Materialize it, or look at the job's status."
            )
        return found.data

    def _store_picture(self, stage: Stage, partition: str | None, value: object) -> str:
        key = self._picture_key(stage, partition)
        if not isinstance(value, bytes):
            raise TypeError(f"{stage} is stored as bytes, not as {type(value).__name__}.")
        there = self._open_store().get(key)
        if there is None or there.data != value:
            self._open_store().put(key, value, content_type=_content_type(value))
        return key

    def _picture_key(self, stage: Stage, partition: str | None, variant: int | None = None) -> str:
        if stage is Stage.SHOPIFY_MEDIA:
            raise LookupError(
                "The published media is stored by the shop and has no object: its ids and address "
                "are in the ledger (`photopipe status`) and in the materialization's metadata."
            )
        if partition is None:
            raise LookupError(f"{stage} is a picture of one photo: name its partition_key.")
        photo = PhotoKey.parse(partition)
        return photo.object_key(stage, self._variant(photo) if variant is None else variant)

    # --- reports -------------------------------------------------------------------------

    def _load_report(self, asset_key: dg.AssetKey, partition: str | None) -> Any:
        import pandas as pd

        key = f"{_report_key(asset_key, partition)}.parquet"
        found = self._open_store().get(key)
        if found is None:
            raise LookupError(
                f"There is no report at {key}: materialize {asset_key.to_user_string()} first."
            )
        return pd.read_parquet(io.BytesIO(found.data), engine="pyarrow")

    def _store_report(self, asset_key: dg.AssetKey, partition: str | None, value: Any) -> str:
        import pandas as pd

        if not isinstance(value, pd.DataFrame):
            raise TypeError(
                f"The report {asset_key.to_user_string()} must be a pandas DataFrame, "
                f"not {type(value).__name__}."
            )
        key = _report_key(asset_key, partition)
        # Parquet keeps what CSV forgets: types, times with their zones, and money as decimals.
        parquet = value.to_parquet(engine="pyarrow", index=False)
        self._open_store().put(f"{key}.parquet", parquet, content_type=_PARQUET)
        texts = value.select_dtypes(include=["object", "string"])
        csv = value.assign(**texts.map(harmless)).to_csv(index=False).encode()
        self._open_store().put(f"{key}.csv", csv, content_type=_CSV)
        return f"{key}.csv"


def _stage(asset_key: dg.AssetKey) -> Stage | None:
    """The stage that an asset is, or ``None`` for a report."""
    *folder, name = asset_key.path
    if folder[:1] == [REPORTS] or name not in set(Stage):
        return None
    return Stage(name)


def _report_key(asset_key: dg.AssetKey, partition: str | None) -> str:
    parts = asset_key.path[1:] if asset_key.path[0] == REPORTS else asset_key.path
    name = "/".join(quote(part, safe="") for part in (*parts, partition or "latest"))
    return f"{REPORTS}/{name}"


def _content_type(data: bytes) -> str:
    for signature, content_type in _SIGNATURES.items():
        if data.startswith(signature):
            return content_type
    return "application/octet-stream"
