"""Add photos: files of this computer or phone, matched to SKUs and priced before anything starts.

The script of the page reads the files; nothing is sent before a person presses the button.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from photopipe_dagster.api.body_limit import read_upload
from photopipe_dagster.api.pages.formatting import usd
from photopipe_dagster.api.pages.rendering import PageRoute, Visit
from photopipe_dagster.api.security import Editor, Writer
from photopipe_dagster.api.state import State
from photopipe_dagster.core.photo import MAX_SKU_CHARACTERS
from photopipe_dagster.costs.estimate import USUAL_SIZE
from photopipe_dagster.operations import photos
from photopipe_dagster.operations.batches import short_of
from photopipe_dagster.publishing.sku_list import FOR_PEOPLE, refresh_skus

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

    @property
    def size(self) -> tuple[int, int]:
        """In pixels; the usual one, where a browser cannot read the file."""
        return (self.width, self.height) if self.width and self.height else USUAL_SIZE


class Preview(BaseModel):
    """Files that are to be matched and priced."""

    theme: Annotated[str, Field(max_length=64)]
    files: Annotated[list[BrowserFile], Field(max_length=MAX_FILES)]


@router.get("/photos/new")
def add_photos(state: State, caller: Editor) -> Response:
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
    caller: Editor,
    text: Annotated[str, Query(max_length=MAX_SKU_CHARACTERS)] = "",
) -> Response:
    """SKUs that contain a text, or whose product's title does, for somebody who types."""
    found = state.ledger.catalogue.like(text.replace("\0", ""), limit=20)
    return JSONResponse([{"sku": sku, "title": title or ""} for sku, title in found.items()])


@router.post("/photos/preview")
def preview(state: State, caller: Writer, wanted: Preview) -> Response:
    """Match files to SKUs and say what they would cost at most. Starts nothing."""
    files = [
        photos.NamedFile(each.name, each.sku.strip(), each.sha256, each.size)
        for each in wanted.files
    ]
    if not all(each.sku for each in files):
        refreshing = refresh_skus(state.settings, state.ledger, max_age=FOR_PEOPLE)
        asyncio.run(refreshing)
    priced = photos.match_and_price(state.settings, state.ledger, state.store, files, wanted.theme)
    titles = state.ledger.catalogue.titles([each.sku for each in priced if each.sku])
    shown: list[dict[str, str]] = []
    for each in priced:
        row = {"sku": each.sku, "title": titles.get(each.sku, ""), "cost": "", "remark": ""}
        shown.append(row)
        if each.estimate is None:
            row["remark"] = each.problem if each.sku else f"{each.problem} Type the SKU."
            continue
        row["cost"] = usd(each.estimate.total) if each.estimate.total else "free"
        if each.estimate.standing:
            row["remark"] = f"Nothing to do: {each.estimate.standing}."
    total = sum((each.estimate.total for each in priced if each.estimate), Decimal(0))
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
