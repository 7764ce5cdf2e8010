"""Many photos at once: of a folder, or of a list of SKUs and addresses."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from photopipe_dagster.core.csv_cells import as_written, harmless
from photopipe_dagster.core.errors import JobError, PhotopipeError, PhotoRejectedError
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.imaging.decode import describe
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations import photos
from photopipe_dagster.runtime.photo_fetcher import PhotoFetcher
from photopipe_dagster.sources.names import PICTURES
from photopipe_dagster.storage.base import ObjectStore

_SKU: Final = ("sku", "variant sku")
_ADDRESS: Final = ("address", "url", "image", "image_url", "image src", "file", "path")
_THEME: Final = ("theme",)
_DELIMITERS: Final = ",;\t|"

PROBLEM: Final = "problem"
"""The column that says why a row failed; such a file can be imported again."""


@dataclass(frozen=True, slots=True)
class Row:
    """A photo that is to be imported.

    Args:
        address: An ``https`` URL, or a file.
        name: What is shown of it; says the SKU where the list does not.
        problem: Why it cannot be imported.
        cells: The row of the list that it comes from.
    """

    address: str | Path
    name: str
    sku: str = ""
    theme: str = ""
    problem: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a row.

    Args:
        job_id: Empty where it failed; the row says why.
        created: Whether its job is new.
    """

    row: Row
    job_id: str = ""
    created: bool = False


def read_rows(path: Path) -> list[Row]:
    """The photos of a folder with those in it, or of a list: ``.csv``, ``.tsv`` or ``.parquet``.

    Raises:
        PhotopipeError: The list cannot be read; says why and what to do.
        OSError: It is not there.
    """
    if path.is_dir():
        files = (each for each in path.rglob("*") if each.suffix.lower() in PICTURES)
        return [
            Row(file, file.relative_to(path).as_posix())
            for file in sorted(files)
            if file.is_file() and not file.name.startswith(".")
        ]
    parquet = path.suffix.lower() == ".parquet"
    table = list(_parquet(path)) if parquet else [cells for _, cells in read_csv(path)]
    columns = {name.strip().lower(): name for name in (table[0] if table else {})}
    address = _column(columns, _ADDRESS)
    if table and address is None:
        raise PhotopipeError(
            f"{path.name} has no column with addresses, but {', '.join(columns)}. Name it address, "
            "and the one with SKUs sku."
        )
    sku, theme = _column(columns, _SKU), _column(columns, _THEME)
    return [_row(path, cells, str(address), sku, theme) for cells in table]


def write_failed(path: Path, failed: Sequence[Row]) -> None:
    """Write rows that failed as a list, with a column that says why. No spreadsheet calculates it.

    Raises:
        OSError: It could not be written.
    """
    names = {name: None for row in failed for name in row.cells}
    columns = [*(names or ("sku", "address")), PROBLEM]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        columns = list(dict.fromkeys(columns))
        writer.writerow(map(harmless, columns))
        for row in failed:
            cells = row.cells or {"sku": row.sku, "address": str(row.address)}
            told = {**cells, PROBLEM: row.problem}
            writer.writerow(harmless(told.get(name, "")) for name in columns)


def price_rows(
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    rows: Sequence[Row],
    theme: str,
    progress: Callable[[], object],
) -> list[tuple[Row, photos.Priced]]:
    """Which product each photo shows, and what its picture would cost at most. Starts nothing.

    Returns:
        The rows with their SKUs, or what is wrong with them.

    Raises:
        PhotoRejectedError: There is no such theme.
    """
    looked: list[Row] = []
    named: list[photos.NamedFile] = []
    for row in rows:
        known = photos.NamedFile(row.name, row.sku, theme=row.theme)
        if isinstance(row.address, Path) and not row.problem:
            try:
                data = _read(row.address, settings)
                info = describe(data, max_pixels=settings.image_max_pixels)
                size = (info.width, info.height)
                known = replace(known, sha256=digest(data), size=size)
            except PhotoRejectedError as error:
                row = replace(row, problem=error.message)
        looked.append(row)
        named.append(known)
        progress()
    good = [each for each, row in zip(named, looked, strict=True) if not row.problem]
    priced = iter(photos.match_and_price(settings, ledger, store, good, theme))
    result = []
    for row in looked:
        found = photos.Priced(row.sku, row.problem) if row.problem else next(priced)
        result.append((replace(row, sku=found.sku, problem=found.problem), found))
    return result


async def import_rows(
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    rows: Sequence[Row],
    theme: str,
    progress: Callable[[], object],
) -> list[Imported]:
    """Fetch and store photos that have SKUs, and make their jobs. Once or often: the same jobs.

    One that fails stops no other.
    """
    registry = ledger.themes.registry(settings)
    turn = asyncio.Semaphore(settings.pictures_in_memory)
    async with PhotoFetcher(settings) as fetcher:

        async def one(row: Row) -> Imported:
            async with turn:
                try:
                    if isinstance(row.address, Path):
                        data = await asyncio.to_thread(_read, row.address, settings)
                    else:
                        data = await fetcher.fetch(row.address)
                    return await asyncio.to_thread(submit, row, data)
                except JobError as error:
                    return Imported(replace(row, problem=error.message))
                finally:
                    progress()

        def submit(row: Row, data: bytes) -> Imported:
            photo = photos.Photo.read(data, settings)
            keys = photos.keys_of(row.sku, photo.sha256, [row.theme or theme], registry)
            [submitted] = photos.submit_photo(ledger, store, keys, photo)
            return Imported(row, submitted.job.id, submitted.created)

        return list(await asyncio.gather(*map(one, rows)))


# --- lists ---------------------------------------------------------------------------------


def _row(
    path: Path, cells: Mapping[str, str], address: str, sku: str | None, theme: str | None
) -> Row:
    where = cells[address].strip()
    remote = "://" in where
    row = Row(
        where if remote else path.parent / where,
        where.partition("?")[0].rpartition("/")[2] if remote else where,
        cells[sku].strip() if sku else "",
        cells[theme].strip() if theme else "",
        cells=cells,
    )
    return row if where else replace(row, problem="The row has no address.")


def _column(columns: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((columns[name] for name in names if name in columns), None)


def read_csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a list in UTF-8 or UTF-16 that are not empty, each with the number of its line.

    Raises:
        PhotopipeError: It cannot be read; says why and what to do.
    """
    text = _text(path)
    heading = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=heading.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            kept = {
                as_written(name): as_written(cell or "")
                for name, cell in cells.items()
                if name is not None
            }
            if any(kept.values()):
                yield reader.line_num, kept
    except csv.Error as error:
        raise PhotopipeError(
            f"{path.name} is no CSV from line {reader.line_num} on: {error}. Save it again as CSV "
            "(UTF-8)."
        ) from None


def _text(path: Path) -> str:
    data = path.read_bytes()
    sixteen = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if sixteen else "utf-8-sig")
    except UnicodeDecodeError:
        raise PhotopipeError(
            f"{path.name} is no text in UTF-8 or UTF-16. Save it again as CSV (UTF-8)."
        ) from None


def _parquet(path: Path) -> Iterator[dict[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except pa.ArrowInvalid as error:
        raise PhotopipeError(f"{path.name} is no Parquet file: {error}.") from None
    for cells in rows:
        yield {name: "" if cell is None else str(cell) for name, cell in cells.items()}


def _read(path: Path, settings: Settings) -> bytes:
    """A file's bytes.

    Raises:
        PhotoRejectedError: It is not there, may not be read, or is too large.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise PhotoRejectedError("There is no file of that name, but a folder or a device.")
        with path.open("rb") as file:
            data = file.read(settings.image_max_bytes + 1)
    except (OSError, ValueError) as error:  # of a name that is too long, or has a NUL
        said = error.strerror if isinstance(error, OSError) else "no file can have such a name"
        raise PhotoRejectedError(f"The file cannot be read: {said}.") from None
    if len(data) > settings.image_max_bytes:
        raise PhotoRejectedError(
            f"The photo has more than {settings.image_max_bytes} bytes. Give a smaller one, or "
            "raise IMAGE_MAX_BYTES."
        )
    return data
