"""A whole shop for tests: simulators, API and Dagster instance, all real, all on this machine."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import uvicorn
from PIL import Image, ImageDraw

from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.server import server_config
from photopipe_dagster.core.dagster_names import RANGE_END, RANGE_START
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.definitions import defs
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.runtime.services import shared_ledger
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.server import RunningSandbox, running_sandbox
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.support.dagster_home import dagster_instance
from photopipe_dagster_tests.support.ledgers import new_ledger

SECRET = "webhook-secret-of-the-tests"


def photo_of_a_mug(number: int = 0, size: int = 240) -> bytes:
    """A JPEG of a coloured mug with a handle on light paper, another one for each number."""
    rng = np.random.default_rng(number)
    ground = np.linspace(245, 225, size)[:, None, None] + rng.normal(0, 1.5, (size, size, 3))
    image = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    colour = tuple(int(channel) for channel in rng.integers(20, 150, 3))
    unit = size // 24
    draw.ellipse((14 * unit, 9 * unit, 20 * unit, 17 * unit), outline=colour, width=unit)
    draw.rounded_rectangle((6 * unit, 7 * unit, 16 * unit, 20 * unit), unit, fill=colour)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92)
    return out.getvalue()


@dataclass
class World:
    """The pieces of a shop, and what people do with them."""

    settings: Settings
    sandbox: RunningSandbox
    instance: dg.DagsterInstance
    api_url: str

    @property
    def ledger(self) -> Ledger:
        return shared_ledger(self.settings)

    @property
    def store(self) -> ObjectStore:
        return object_store(self.settings)

    def announce(self, sku: str, data: bytes, theme: str = "default", **claim: str) -> PhotoKey:
        """A photo that 3JMS has and has announced, of a product that the shop may have."""
        photo = self.sandbox.state.threejms.add(sku, data, "image/jpeg")
        key = PhotoKey(sku, claim.get("sha256", hashlib.sha256(data).hexdigest()), theme)
        url = photo.url(self.sandbox.threejms_url)
        self.ledger.intake.submit(key, "webhook", image_url=url)
        return key

    def stock(self, *skus: str) -> None:
        """Products of the shop, one for each SKU."""
        for sku in skus:
            self.sandbox.state.shopify.add_product(f"Product {sku}", skus=[sku])

    def materialize(
        self, keys: Sequence[PhotoKey], stages: Sequence[str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Add partitions and run them as one range, as a sensor's run would."""
        names = [key.partition_key for key in keys]
        self.instance.add_dynamic_partitions("photos", names)
        job = defs.resolve_job_def("photos")
        return job.execute_in_process(
            instance=self.instance,
            tags={RANGE_START: names[0], RANGE_END: names[-1]},
            asset_selection=None if stages is None else [dg.AssetKey(stage) for stage in stages],
            raise_on_error=False,
        )

    def materialized(self, asset: str) -> set[str]:
        """Partitions of an asset that Dagster knows to be materialized."""
        return set(self.instance.get_materialized_partitions(dg.AssetKey(asset)))

    def charges(self) -> list[object]:
        """What the simulator of the provider has charged."""
        return list(self.sandbox.state.freepik.charges)

    def media(self) -> int:
        """How many media stand on the shop's products."""
        products = self.sandbox.state.shopify.products.values()
        return sum(len(product.media_ids) for product in products)


@contextmanager
def world(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    provider: str = "freepik",
    config: SandboxConfig | None = None,
    **environment: str,
) -> Iterator[World]:
    """Everything up; everything down again at the end."""
    with running_sandbox(config or SandboxConfig(webhook_secret=SECRET)) as sandbox:
        port = free_port()
        variables = {
            "PHOTOPIPE_ENV": "development",
            "DATA_DIR": str(tmp_path / "data"),
            "PORT": str(port),
            "AI_PROVIDER": provider,
            "FREEPIK_API_URL": sandbox.freepik_url,
            "FREEPIK_API_KEY": sandbox.config.freepik_key,
            "FREEPIK_POLL_SECONDS": "0.01",
            "FREEPIK_REQUESTS_PER_MINUTE": "60000",
            "SHOPIFY_STORE": sandbox.shopify_url,
            "SHOPIFY_ACCESS_TOKEN": sandbox.config.shopify_token,
            "SHOPIFY_POLL_SECONDS": "0.01",
            "THREEJMS_API_URL": sandbox.threejms_url,
            "THREEJMS_API_KEY": sandbox.config.threejms_key,
            "THREEJMS_WEBHOOK_SECRET": SECRET,
            "IMAGE_URL_ALLOWED_HOSTS": sandbox.url.removeprefix("http://"),
            "JOB_RETRY_DELAY_SECONDS": "0",
            **environment,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings = Settings(_env_file=None)
        if not {"DATABASE_URL", "DB_PATH"} & environment.keys():
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            new_ledger(settings.data_dir)
        with dagster_instance() as instance, running_api(settings) as api_url:
            yield World(settings, sandbox, instance, api_url)
        shared_ledger(settings).close()


@contextmanager
def running_api(settings: Settings) -> Iterator[str]:
    """The API of these settings at their own address."""
    app = create_app(settings, shared_ledger(settings), object_store(settings))
    server = uvicorn.Server(server_config(app, settings))
    server.config.log_level = "error"
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 15
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the API did not start")
        time.sleep(0.01)
    yield settings.base_url
    server.should_exit = True
    thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def damage(shop: World, key: PhotoKey, stage: Stage) -> None:
    """Change one byte in the middle of a stored picture, as a disk does that forgets."""
    name = key.object_key(stage)
    (path,) = (path for path in shop.settings.data_dir.rglob("*") if str(path).endswith(name))
    found, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
