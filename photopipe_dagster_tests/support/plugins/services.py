"""What the three packages speak with: tiny real HTTP servers with books of their own."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from photopipe_dagster.sandbox.pictures import border_cut_out, gradient

KEY = "key-of-acme"
"""Opens all three."""

Handler = Callable[..., Response]


class Service:
    """A server of this process.

    Attributes:
        url: Its address, while it runs.
        asked: All requests so far, such as ``GET /account``.
        watch: Is told of each request before it is answered, in the server's thread.
        closed: Whether it answers 500 to everything.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.watch: Callable[[str], None] = lambda _: None
        self.closed = False

    def routes(self) -> dict[str, Handler]:
        """Handlers by method and path; each takes the request, its body and the path's parts."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[str]:
        """The server's address, while it runs."""
        routes = [
            Route(path, self._endpoint(handler), methods=[method])
            for (method, path), handler in (
                (name.split(), handler) for name, handler in self.routes().items()
            )
        ]
        server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off", ws="none")
        )
        with socket.create_server(("127.0.0.1", 0)) as listening:
            run = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            run.start()
            while not server.started:
                time.sleep(0.005)
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            yield self.url
            server.should_exit = server.force_exit = True
            run.join()

    def _endpoint(self, handler: Handler) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            name = f"{request.method} {request.url.path}"
            self.asked.append(name)
            body = await request.body()
            self.watch(name)
            if self.closed:
                return Response(status_code=500)
            if request.headers.get("authorization") != KEY:
                return Response(status_code=401)
            return await asyncio.to_thread(handler, request, body, **request.path_params)

        return answer


# --- cut-outs and backgrounds --------------------------------------------------------------


class Studio(Service):
    """Makes pictures by jobs.

    Attributes:
        bills: USD for each order.
        polls: How often a job is said to be in the making before it is done.
    """

    def __init__(self, polls: int = 1) -> None:
        super().__init__()
        self.bills: list[Decimal] = []
        self.polls = polls
        self._jobs: dict[str, bytes] = {}
        self._looks: dict[str, int] = {}

    def routes(self) -> dict[str, Handler]:
        return {
            "GET /account": lambda *_: Response(),
            "POST /cutouts": self._cut_out,
            "POST /backgrounds": self._paint,
            "GET /jobs/{number}": self._result,
        }

    def expire(self) -> None:
        """Forget all results."""
        self._jobs.clear()

    def _cut_out(self, _: Request, body: bytes) -> Response:
        return self._ordered(border_cut_out(body), Decimal("0.03"))

    def _paint(self, _: Request, body: bytes) -> Response:
        order = json.loads(body)
        # Each seed has a shade of its own.
        prompt = f"{order['prompt']} {order['seed']}"
        picture = io.BytesIO()
        gradient(prompt, order["width"], order["height"]).save(picture, "JPEG", quality=95)
        return self._ordered(picture.getvalue(), Decimal("0.07"))

    def _ordered(self, picture: bytes, usd: Decimal) -> Response:
        self.bills.append(usd)
        number = f"j{len(self.bills)}"
        self._jobs[number] = picture
        return JSONResponse({"job": number}, status_code=201)

    def _result(self, _: Request, body: bytes, number: str) -> Response:
        if number not in self._jobs:
            return Response(status_code=404)
        looks = self._looks[number] = self._looks.get(number, 0) + 1
        return Response(self._jobs[number]) if looks > self.polls else Response(status_code=202)


# --- photos --------------------------------------------------------------------------------


@dataclass
class ShelfPhoto:
    sku: str
    data: bytes = field(repr=False)
    changed: datetime
    taken: bool = False


class Shelf(Service):
    """Lists photos, two a page, until each is taken.

    Attributes:
        photos: By their ids.
        oddities: Entries that are listed behind them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.photos: dict[str, ShelfPhoto] = {}
        self.oddities: list[object] = []

    def put(self, sku: str, data: bytes, changed: datetime | None = None) -> str:
        """A photo; its id."""
        number = str(len(self.photos))
        self.photos[number] = ShelfPhoto(sku, data, changed or datetime.now(UTC))
        return number

    def routes(self) -> dict[str, Handler]:
        return {
            "GET /photos": self._page,
            "GET /photos/{number}": self._file,
            "PUT /photos/{number}/taken": self._take,
        }

    def _page(self, request: Request, _: bytes) -> Response:
        # By id, not by number of page: what is taken meanwhile leaves the list.
        after = int(request.query_params.get("after", "-1"))
        waiting = [number for number, photo in self.photos.items() if not photo.taken]
        page = [number for number in waiting if int(number) > after][:2]
        entries = [
            {"id": number, "sku": photo.sku, "changed": photo.changed.isoformat()}
            for number, photo in ((number, self.photos[number]) for number in page)
        ]
        if not page:
            return JSONResponse({"photos": self.oddities, "next": None})
        return JSONResponse({"photos": entries, "next": f"/photos?after={page[-1]}"})

    def _file(self, _: Request, body: bytes, number: str) -> Response:
        photo = self.photos.get(number)
        return Response(status_code=404) if photo is None else Response(photo.data)

    def _take(self, _: Request, body: bytes, number: str) -> Response:
        self.photos[number].taken = True
        return Response()


# --- products ------------------------------------------------------------------------------


@dataclass
class ShopProduct:
    id: str
    title: str
    skus: tuple[str, ...]
    gallery: list[str] = field(default_factory=list)

    @property
    def version(self) -> str:
        """Another one whenever the gallery is another one."""
        return " ".join(self.gallery)


@dataclass
class ShopFile:
    id: str
    name: str
    alt: str
    data: bytes = field(repr=False)


class Shop(Service):
    """Has products and files."""

    def __init__(self) -> None:
        super().__init__()
        self.products: dict[str, ShopProduct] = {}
        self.files: dict[str, ShopFile] = {}
        self._made = 0

    def add_product(self, title: str, *skus: str) -> ShopProduct:
        """A product with an empty gallery."""
        product = ShopProduct(f"p{self._next()}", title, skus)
        self.products[product.id] = product
        return product

    def add_file(self, name: str, alt: str = "", data: bytes = b"") -> ShopFile:
        """A file, on no product."""
        file = ShopFile(f"f{self._next()}", name, alt, data)
        self.files[file.id] = file
        return file

    def routes(self) -> dict[str, Handler]:
        return {
            "GET /products": self._search,
            "GET /products/{product}": self._product,
            "PUT /products/{product}/gallery": self._arrange,
            "GET /files": self._find_files,
            "PUT /files": self._upload,
        }

    def _next(self) -> int:
        self._made += 1
        return self._made

    def _search(self, request: Request, _: bytes) -> Response:
        wanted = request.query_params["search"].lower()
        return JSONResponse(
            [
                {"id": product.id, "title": product.title, "skus": product.skus}
                for product in self.products.values()
                if any(wanted in sku.lower() for sku in product.skus)
            ]
        )

    def _product(self, _: Request, body: bytes, product: str) -> Response:
        found = self.products.get(product)
        if found is None:
            return Response(status_code=404)
        shown = {"id": found.id, "gallery": found.gallery, "version": found.version}
        return JSONResponse(shown)

    def _arrange(self, _: Request, body: bytes, product: str) -> Response:
        asked, found = json.loads(body), self.products[product]
        if asked["version"] != found.version:
            return Response(status_code=409)
        found.gallery[:] = asked["gallery"]
        return JSONResponse(True)

    def _find_files(self, request: Request, _: bytes) -> Response:
        ids, name = request.query_params.getlist("id"), request.query_params.get("name")
        found = [self.files[each] for each in ids if each in self.files]
        found += [file for file in self.files.values() if file.name == name]
        return JSONResponse([_shown(file) for file in found])

    def _upload(self, request: Request, body: bytes) -> Response:
        name, alt = request.query_params["name"], request.query_params["alt"]
        same = next((file for file in self.files.values() if file.name == name), None)
        return JSONResponse(_shown(same or self.add_file(name, alt, body)))


def _shown(file: ShopFile) -> dict[str, str]:
    return {"id": file.id, "name": file.name, "url": f"https://shop.acme.example/{file.id}"}
