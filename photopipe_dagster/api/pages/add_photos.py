"""Add photos: files of this computer or phone, matched to SKUs and priced before anything starts.

The script of the page reads the files; nothing is sent before a person presses the button.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Final

from fastapi import APIRouter, Depends, File, Form, Query, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from photopipe_dagster.api.body_limit import read_upload
from photopipe_dagster.api.pages.formatting import usd
from photopipe_dagster.api.pages.rendering import PageRoute, Visit
from photopipe_dagster.api.security import Caller, Scope, Writer, require
from photopipe_dagster.api.state import State
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS
from photopipe_dagster.costs.estimate import USUAL_SIZE, Candidate, estimating
from photopipe_dagster.operations import photos
from photopipe_dagster.operations.batches import short_of

MAX_FILES: Final = 200
"""That are matched and priced together."""

_Sku = Annotated[str, Field(max_length=MAX_SKU_CHARACTERS, pattern=r"^[^\x00]*$")]

router = APIRouter(route_class=PageRoute)


class BrowserFile(BaseModel):
    """A file as the browser sees it; an empty SKU is looked for in the file's name.

    The digest is missing where a browser cannot hash: over plain HTTP from another machine.
    """

    name: Annotated[str, Field(max_length=512)]
    sku: _Sku = ""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    width: Annotated[int, Field(ge=0, le=100_000)] = 0
    height: Annotated[int, Field(ge=0, le=100_000)] = 0


class Preview(BaseModel):
    """Files that are to be matched and priced."""

    theme: Annotated[str, Field(max_length=64)]
    files: Annotated[list[BrowserFile], Field(max_length=MAX_FILES)]


@router.get("/photos/new")
def add_photos(state: State, caller: Annotated[Caller, Depends(require(Scope.WRITE))]) -> Response:
    """The page that photos are added on."""
    themes = state.themes
    return Visit(state, caller).page(
        "add_photos.html",
        themes=themes.offered,
        default=themes.default,
        max_files=MAX_FILES,
        max_bytes=state.settings.image_max_bytes,
    )


@router.get("/photos/products")
def products(
    state: State,
    caller: Annotated[Caller, Depends(require(Scope.WRITE))],
    text: Annotated[str, Query(max_length=MAX_SKU_CHARACTERS)] = "",
) -> Response:
    """SKUs that contain a text, or whose product's title does, for somebody who types."""
    found = state.ledger.catalogue.like(text.replace("\0", ""), limit=20)
    return JSONResponse([{"sku": sku, "title": title or ""} for sku, title in found.items()])


@router.post("/photos/preview")
def preview(state: State, caller: Writer, wanted: Preview) -> Response:
    """Match files to SKUs and say what they would cost at most. Starts nothing."""
    themes = state.themes
    theme = themes.offer(wanted.theme).name
    skus = [
        each.sku or photos.sku_in_name(state.ledger, PurePosixPath(each.name).stem)
        for each in wanted.files
    ]
    titles = state.ledger.catalogue.titles([sku for sku in skus if sku])
    shown: list[dict[str, str]] = []
    total = Decimal(0)
    with estimating(state.settings, state.ledger, state.store) as estimator:
        for place, (each, sku) in enumerate(zip(wanted.files, skus, strict=True)):
            row = {"sku": sku, "title": titles.get(sku, ""), "cost": "", "remark": ""}
            shown.append(row)
            if not sku:
                row["remark"] = "No SKU in the file’s name: type it."
                continue
            # Without a digest each is priced as a new photo.
            sha256 = each.sha256 or f"{place:064x}"
            [key] = photos.keys_of(sku, sha256, [theme], themes)
            size = (each.width, each.height) if each.width and each.height else USUAL_SIZE
            [found] = estimator.estimate([Candidate(key, sha256, size)])
            total += found.total
            row["cost"] = usd(found.total) if found.total else "free"
            if found.standing:
                row["remark"] = f"Nothing to do: {found.standing}."
    short = [period.describe() for period in short_of(state.ledger, total)] if total else []
    return JSONResponse({"files": shown, "total": usd(total) if total else "free", "short": short})


@router.post("/photos")
def add_photo(
    state: State,
    caller: Writer,
    file: Annotated[UploadFile, File()],
    sku: Annotated[str, Form(max_length=MAX_SKU_CHARACTERS)],
    theme: Annotated[str, Form(max_length=64)],
) -> Response:
    """Take one photo; sent twice, it is taken once."""
    data = read_upload(file, state.settings.image_max_bytes)
    photo = photos.Photo.read(data, state.settings)
    keys = photos.keys_of(sku.strip(), photo.sha256, [theme], state.themes)
    [submitted] = photos.submit_photo(state.ledger, state.store, keys, photo)
    return JSONResponse(
        {"job": submitted.job.id, "created": submitted.created},
        status_code=201 if submitted.created else 200,
    )
