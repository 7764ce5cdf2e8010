"""Look into a sandbox and set it, from another process: the routes under ``/_sandbox``."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from photopipe_dagster.sandbox import threejms
from photopipe_dagster.sandbox.faults import Fault, PlannedFault
from photopipe_dagster.sandbox.pictures import NotAPictureError, look
from photopipe_dagster.sandbox.shopify.records import Category, Product
from photopipe_dagster.sandbox.shopify.store import ShopifyStore
from photopipe_dagster.sandbox.state import SandboxState
from photopipe_dagster.sandbox.traffic import OperationCount


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClockChange(_Body):
    """Move the clock by seconds, or to a moment."""

    advance_seconds: float = 0.0
    now: AwareDatetime | None = None


class ClockReading(BaseModel):
    """What time it is in the sandbox."""

    now: datetime


class PushRequest(_Body):
    """Push webhooks for some photos, or for all."""

    target: str
    photo_ids: list[str] | None = None
    theme: str | None = None
    event: str = "image.created"


class PushedPhoto(BaseModel):
    """What became of a webhook; status 0 means that nobody answered."""

    photo_id: str
    status: int


class PhotoView(BaseModel):
    """A photo on the shelf."""

    id: str
    sku: str
    url: str
    sha256: str
    content_type: str
    bytes: int
    taken_at: datetime
    updated_at: datetime


class ChargeView(BaseModel):
    """Money that was taken for a cut-out or a background; USD."""

    id: str
    provider: str
    job: Literal["cutout", "background"]
    operation: str
    usd: Decimal
    time: datetime


class ChargesView(BaseModel):
    """All charges and their sum."""

    charges: list[ChargeView]
    total_usd: Decimal


class NewCategory(_Body):
    """A category of Shopify's standard taxonomy; the stand-in takes any, and knows none."""

    id: str = Field(pattern="^gid://shopify/TaxonomyCategory/[a-z]{2}(-[0-9]+)*$")
    full_name: str


class NewProduct(_Body):
    """A product to add."""

    title: str
    skus: list[str] = Field(default_factory=list)
    status: str = Field("ACTIVE", pattern="^(ACTIVE|DRAFT|ARCHIVED|UNLISTED)$")
    vendor: str = "Sandbox"
    product_type: str = ""
    category: NewCategory | None = None
    tags: list[str] = Field(default_factory=list)


class AddedProduct(BaseModel):
    """Its gid."""

    id: str


class VariantView(BaseModel):
    """A variant."""

    id: str
    sku: str
    media_ids: list[str]


class MediaView(BaseModel):
    """A picture in the shop's files; the position is that on the product, from 0."""

    id: str
    position: int | None
    filename: str
    alt: str
    status: str
    error: str | None
    content_type: str | None
    width: int | None
    height: int | None
    bytes: int | None
    url: str


class ProductView(BaseModel):
    """A product with its media in order."""

    id: str
    title: str
    handle: str
    status: str
    variants: list[VariantView]
    media: list[MediaView]
    metafields: dict[str, str]


class BucketChange(_Body):
    """Set the leaky bucket; full where ``available`` is not given."""

    size: float = Field(gt=0)
    restore: float = Field(ge=0)
    available: float | None = None


class StateView(BaseModel):
    """The sandbox in figures."""

    now: datetime
    requests: dict[str, OperationCount]
    latencies: dict[str, float]
    faults: int
    photos: int
    freepik_charges: int
    freepik_usd: Decimal
    freepik_tasks: dict[str, int]
    shopify_products: int
    shopify_files: dict[str, int]


def router(state: SandboxState) -> APIRouter:
    """The routes under ``/_sandbox``."""
    routes = APIRouter()
    for add in (_general, _faults, _photos, _charges, _shopify):
        add(routes, state)
    return routes


def _general(routes: APIRouter, state: SandboxState) -> None:
    @routes.get("/state")
    async def summary() -> StateView:
        return _summary(state)

    @routes.post("/reset")
    async def reset() -> StateView:
        state.reset()
        return _summary(state)

    @routes.get("/clock")
    async def read_clock() -> ClockReading:
        return ClockReading(now=state.clock.now())

    @routes.post("/clock")
    async def move_clock(change: ClockChange) -> ClockReading:
        if change.now is not None:
            state.clock.set(change.now)
        return ClockReading(now=state.clock.advance(change.advance_seconds))

    @routes.get("/latency")
    async def read_latencies() -> dict[str, float]:
        return state.traffic.latencies()

    @routes.post("/latency")
    async def set_latencies(latencies: dict[str, float]) -> dict[str, float]:
        try:
            state.traffic.set_latencies(latencies)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return state.traffic.latencies()


def _summary(state: SandboxState) -> StateView:
    tasks: dict[str, int] = {}
    for task in list(state.freepik.tasks.values()):
        status = state.freepik.status(task)
        tasks[status] = tasks.get(status, 0) + 1
    files: dict[str, int] = {}
    for file in list(state.shopify.files.values()):
        status_of_file = state.shopify.status(file)
        files[status_of_file] = files.get(status_of_file, 0) + 1
    return StateView(
        now=state.clock.now(),
        requests=state.traffic.counts(),
        latencies=state.traffic.latencies(),
        faults=len(state.faults.planned()),
        photos=len(state.threejms.photos()),
        freepik_charges=len(state.freepik.charges),
        freepik_usd=state.freepik.spent_usd,
        freepik_tasks=tasks,
        shopify_products=len(state.shopify.products),
        shopify_files=files,
    )


def _faults(routes: APIRouter, state: SandboxState) -> None:
    @routes.post("/faults", status_code=201)
    async def plan(fault: Fault) -> PlannedFault:
        return PlannedFault(id=state.faults.add(fault), fault=fault, happened=0)

    @routes.get("/faults")
    async def planned() -> list[PlannedFault]:
        return state.faults.planned()

    @routes.delete("/faults", status_code=204)
    async def clear() -> None:
        state.faults.clear()

    @routes.delete("/faults/{number}", status_code=204)
    async def remove(number: int) -> None:
        if not state.faults.remove(number):
            raise HTTPException(404, f"There is no fault {number}.")


def _photos(routes: APIRouter, state: SandboxState) -> None:
    def view(request: Request, photo: threejms.ShelfPhoto) -> PhotoView:
        return PhotoView(
            id=photo.id,
            sku=photo.sku,
            url=photo.url(f"{request.base_url}threejms"),
            sha256=photo.sha256,
            content_type=photo.content_type,
            bytes=len(photo.data),
            taken_at=photo.taken_at,
            updated_at=photo.updated_at,
        )

    @routes.get("/threejms/photos")
    async def shelf(request: Request) -> list[PhotoView]:
        return [view(request, photo) for photo in state.threejms.photos()]

    @routes.post("/threejms/photos", status_code=201)
    async def add(
        request: Request,
        sku: Annotated[str, Form()],
        file: Annotated[UploadFile, File()],
        sha256: Annotated[str | None, Form()] = None,
        taken_at: Annotated[AwareDatetime | None, Form()] = None,
    ) -> PhotoView:
        data = await file.read()
        try:
            content_type = look(data).content_type
        except NotAPictureError:
            content_type = file.content_type or "application/octet-stream"
        photo = state.threejms.add(
            sku, data, content_type, taken_at=taken_at, claimed_sha256=sha256
        )
        return view(request, photo)

    @routes.post("/threejms/push")
    async def push(request: Request, order: PushRequest) -> list[PushedPhoto]:
        found = [state.threejms.get(number) for number in order.photo_ids or ()]
        chosen = [photo for photo in found if photo is not None]
        if len(chosen) < len(found):
            raise HTTPException(404, "One of the photos does not exist.")
        deliveries = await threejms.push(
            chosen if order.photo_ids is not None else state.threejms.photos(),
            order.target,
            base=f"{request.base_url}threejms",
            config=state.config,
            theme=order.theme,
            event=order.event,
        )
        return [PushedPhoto(photo_id=one.photo_id, status=one.status) for one in deliveries]


def _charges(routes: APIRouter, state: SandboxState) -> None:
    @routes.get("/charges")
    async def charges() -> ChargesView:
        return ChargesView(
            charges=[
                ChargeView(
                    id=one.id,
                    provider=provider,
                    job=one.job,
                    operation=one.operation,
                    usd=one.usd,
                    time=one.at,
                )
                for provider, books in state.providers.items()
                for one in list(books.charges)
            ],
            total_usd=sum((each.spent_usd for each in state.providers.values()), Decimal(0)),
        )


def _shopify(routes: APIRouter, state: SandboxState) -> None:
    store = state.shopify

    @routes.get("/shopify/products")
    async def products(request: Request) -> list[ProductView]:
        await store.load_pending()
        base = f"{request.base_url}shopify"
        return [_product(store, product, base) for product in list(store.products.values())]

    @routes.post("/shopify/products", status_code=201)
    async def add(product: NewProduct) -> AddedProduct:
        given = product.category
        gid = store.add_product(
            product.title,
            product.skus,
            product.status,
            vendor=product.vendor,
            product_type=product.product_type,
            category=None if given is None else Category(given.id, given.full_name),
            tags=product.tags,
        )
        return AddedProduct(id=gid)

    @routes.get("/shopify/files")
    async def files(request: Request) -> list[MediaView]:
        await store.load_pending()
        base = f"{request.base_url}shopify"
        return [_media(store, gid, None, base) for gid in list(store.files)]

    @routes.post("/shopify/bucket", status_code=204)
    async def bucket(change: BucketChange) -> None:
        store.bucket.configure(change.size, change.restore, change.available)

    @routes.post("/shopify/scopes")
    async def scopes(names: list[str]) -> list[str]:
        store.scopes = set(names)
        return sorted(store.scopes)


def _product(store: ShopifyStore, product: Product, base: str) -> ProductView:
    return ProductView(
        id=product.id,
        title=product.title,
        handle=product.handle,
        status=product.status,
        variants=[
            VariantView(id=variant.id, sku=variant.sku, media_ids=variant.media_ids)
            for variant in product.variants
        ],
        media=[
            _media(store, gid, position, base) for position, gid in enumerate(product.media_ids)
        ],
        metafields={f"{one.namespace}.{one.key}": one.value for one in product.metafields.values()},
    )


def _media(store: ShopifyStore, gid: str, position: int | None, base: str) -> MediaView:
    file = store.files[gid]
    return MediaView(
        id=file.id,
        position=position,
        filename=file.filename,
        alt=file.alt,
        status=store.status(file),
        error=file.problem.code if file.problem and file.loaded else None,
        content_type=file.content_type,
        width=file.width,
        height=file.height,
        bytes=len(file.data) if file.data is not None else None,
        url=f"{base}/cdn/s/files/1/0001/files/{file.filename}",
    )
