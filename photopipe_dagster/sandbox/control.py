"""Look into a sandbox and set it, from another process: the routes under ``/_sandbox``."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from photopipe_dagster.sandbox import threejms
from photopipe_dagster.sandbox.faults import Fault, PlannedFault
from photopipe_dagster.sandbox.pictures import NotAPictureError, look
from photopipe_dagster.sandbox.shopify.records import Category, Product
from photopipe_dagster.sandbox.shopify.store import ShopifyStore
from photopipe_dagster.sandbox.state import SandboxState


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


View = dict[str, Any]
"""What is shown of a thing. Amounts are USD."""


class ClockChange(_Body):
    """Move the clock by seconds, or to a moment."""

    advance_seconds: float = 0.0
    now: AwareDatetime | None = None


class PushRequest(_Body):
    """Push webhooks for some photos, or for all."""

    target: str
    photo_ids: list[str] | None = None
    theme: str | None = None
    event: str = "image.created"


class NewProduct(_Body):
    """A product to add."""

    title: str
    skus: list[str] = Field(default_factory=list)
    status: str = Field("ACTIVE", pattern="^(ACTIVE|DRAFT|ARCHIVED|UNLISTED)$")
    product_type: str = ""
    category: Category | None = None


class BucketChange(_Body):
    """Set the leaky bucket; full where ``available`` is not given."""

    size: float = Field(gt=0)
    restore: float = Field(ge=0)
    available: float | None = None


def router(state: SandboxState) -> APIRouter:
    """The routes under ``/_sandbox``."""
    routes = APIRouter()
    for add in (_general, _faults, _photos, _charges, _shopify):
        add(routes, state)
    return routes


def _general(routes: APIRouter, state: SandboxState) -> None:
    @routes.get("/state")
    async def summary() -> View:
        return _summary(state)

    @routes.post("/reset")
    async def reset() -> View:
        state.reset()
        return _summary(state)

    @routes.get("/clock")
    async def read_clock() -> View:
        return {"now": state.clock.now()}

    @routes.post("/clock")
    async def move_clock(change: ClockChange) -> View:
        if change.now is not None:
            state.clock.set(change.now)
        return {"now": state.clock.advance(change.advance_seconds)}

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


def _summary(state: SandboxState) -> View:
    freepik, shop = state.freepik, state.shopify
    return {
        "now": state.clock.now(),
        "requests": state.traffic.counts(),
        "latencies": state.traffic.latencies(),
        "faults": len(state.faults.planned()),
        "photos": len(state.threejms.photos()),
        "freepik_charges": len(freepik.charges),
        "freepik_usd": freepik.spent_usd,
        "freepik_tasks": Counter(map(freepik.status, list(freepik.tasks.values()))),
        "shopify_products": len(shop.products),
        "shopify_files": Counter(map(shop.status, list(shop.files.values()))),
    }


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
    def view(request: Request, photo: threejms.ShelfPhoto) -> View:
        shown = {"url": photo.url(f"{request.base_url}threejms"), "bytes": len(photo.data)}
        names = ("id", "sku", "sha256", "content_type", "taken_at", "updated_at")
        return shown | {name: getattr(photo, name) for name in names}

    @routes.get("/threejms/photos")
    async def shelf(request: Request) -> list[View]:
        return [view(request, photo) for photo in state.threejms.photos()]

    @routes.post("/threejms/photos", status_code=201)
    async def add(
        request: Request,
        sku: Annotated[str, Form()],
        file: Annotated[UploadFile, File()],
        sha256: Annotated[str | None, Form()] = None,
        taken_at: Annotated[AwareDatetime | None, Form()] = None,
    ) -> View:
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
    async def push(request: Request, order: PushRequest) -> list[threejms.Delivery]:
        found = [state.threejms.get(number) for number in order.photo_ids or ()]
        chosen = [photo for photo in found if photo is not None]
        if len(chosen) < len(found):
            raise HTTPException(404, "One of the photos does not exist.")
        return await threejms.push(
            chosen if order.photo_ids is not None else state.threejms.photos(),
            order.target,
            base=f"{request.base_url}threejms",
            config=state.config,
            theme=order.theme,
            event=order.event,
        )


def _charges(routes: APIRouter, state: SandboxState) -> None:
    @routes.get("/charges")
    async def charges() -> View:
        taken = [
            {
                "id": one.id,
                "provider": provider,
                "job": one.job,
                "operation": one.operation,
                "usd": one.usd,
                "time": one.time,
            }
            for provider, records in state.providers.items()
            for one in list(records.charges)
        ]
        spent = sum((each.spent_usd for each in state.providers.values()), Decimal(0))
        return {"charges": taken, "total_usd": spent}


def _shopify(routes: APIRouter, state: SandboxState) -> None:
    store = state.shopify

    @routes.get("/shopify/products")
    async def products(request: Request) -> list[View]:
        await store.load_pending()
        base = f"{request.base_url}shopify"
        return [_product(store, product, base) for product in list(store.products.values())]

    @routes.post("/shopify/products", status_code=201)
    async def add(product: NewProduct) -> View:
        return {"id": store.add_product(**dict(product))}

    @routes.get("/shopify/files")
    async def files(request: Request) -> list[View]:
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


def _product(store: ShopifyStore, product: Product, base: str) -> View:
    shown: View = {name: getattr(product, name) for name in ("id", "title", "handle", "status")}
    return shown | {
        "variants": [{"id": variant.id, "sku": variant.sku} for variant in product.variants],
        "media": [
            _media(store, gid, position, base) for position, gid in enumerate(product.media_ids)
        ],
    }


def _media(store: ShopifyStore, gid: str, position: int | None, base: str) -> View:
    """A picture in the shop's files; the position is that on the product, from 0."""
    file = store.files[gid]
    names = ("id", "filename", "alt", "content_type", "width", "height")
    shown: View = {name: getattr(file, name) for name in names}
    return shown | {
        "position": position,
        "status": store.status(file),
        "error": file.problem.code if file.problem and file.loaded else None,
        "bytes": None if file.data is None else len(file.data),
        "url": f"{base}/cdn/s/files/1/0001/files/{file.filename}",
    }
