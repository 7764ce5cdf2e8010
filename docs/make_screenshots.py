"""Makes the README's pictures: the pages and Dagster's UI over the demo's photos, in Chromium.

    .venv/bin/python docs/make_screenshots.py
    .venv/bin/python docs/make_screenshots.py --all /tmp/pages    # every page, width and scheme

Takes two minutes. About 200 MB are downloaded at first. Nothing here reaches a shop, a bucket or a
paid account: all services are simulators in a temporary folder.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as NotShown
from sqlalchemy import delete

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from photopipe_dagster.core.photo import PhotoKey  # noqa: E402
from photopipe_dagster.core.settings import Settings  # noqa: E402
from photopipe_dagster.demo.photos import DemoPhoto, demo_photos  # noqa: E402
from photopipe_dagster.demo.process_group import HOST, Program, Stack, free_port  # noqa: E402
from photopipe_dagster.demo.realistic_sandbox import sandbox_config  # noqa: E402
from photopipe_dagster.ledger.jobs.queries import JobQuery  # noqa: E402
from photopipe_dagster.ledger.tables import days, hours  # noqa: E402
from photopipe_dagster_tests.support.browser import find_chromium  # noqa: E402
from photopipe_dagster_tests.support.world import World, world  # noqa: E402

THEMES = ("kitchen", "outdoors", "luxury", "minimal")
APPROVED_FIRST = "outdoors"
DAYS = 7
DESKTOP, PHONE = (1280, 860), (390, 844)
"""Pixels."""

SHOWN = (
    ("dashboard", DESKTOP),
    ("review", DESKTOP),
    ("job", DESKTOP),
    ("gallery", DESKTOP),
    ("batch", DESKTOP),
    ("dashboard", PHONE),
    ("dagster-assets", DESKTOP),
    ("dagster-partitions", DESKTOP),
)
"""What the README shows, as much of it as fits on a screen."""

QUALITY = 80
"""Of WebP: a screen is 30 to 100 kB."""


@contextmanager
def filled_world(cache: Path) -> Iterator[World]:
    """A shop whose photos went through the pipeline: published, failed and waiting for a person."""
    photos = demo_photos(cache)
    local = Settings(_env_file=None, data_dir=cache.parent)
    config = sandbox_config(local, "screenshots", real_pictures=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as environment,
        world(
            Path(folder),
            environment,
            config=config,
            APPROVAL_REQUIRED=APPROVED_FIRST,
            PHOTOS_IN_FLIGHT="4",
            COST_LIMIT_DAILY_USD="5",
            COST_LIMIT_MONTHLY_USD="60",
        ) as shop,
    ):
        shop.stock(*(photo.subject.sku for photo in photos[1:]))  # the first has no product
        _go_through_a_week(shop, [(photo, theme) for photo in photos for theme in THEMES])
        _begin_batch(shop, photos)
        for photo in photos[2:5]:
            _announce(shop, photo, "default")
        yield shop


def _announce(shop: World, photo: DemoPhoto, theme: str) -> PhotoKey:
    return shop.announce(photo.subject.sku, photo.jpeg, theme)


def _go_through_a_week(shop: World, wanted: Sequence[tuple[DemoPhoto, str]]) -> None:
    """A run a day, as if the photos had come in the past week: more of them every day."""
    database = shop.ledger.database
    ends = [round(len(wanted) * (day / DAYS) ** 1.5) for day in range(DAYS + 1)]
    for day in range(DAYS):
        back = timedelta(days=DAYS - 1 - day, hours=1 if day < DAYS - 1 else 0)
        database.now = lambda back=back: datetime.now(UTC) - back
        keys = [_announce(shop, photo, theme) for photo, theme in wanted[ends[day] : ends[day + 1]]]
        if keys:
            shop.materialize(keys)
    database.now = lambda: datetime.now(UTC)
    with database.write() as connection:  # the API has sealed these hours while nothing was in them
        connection.execute(delete(hours))
        connection.execute(delete(days))


def _begin_batch(shop: World, photos: Sequence[DemoPhoto]) -> None:
    """A batch that is half way."""
    known = shop.ledger.jobs.find(JobQuery(theme="kitchen"), limit=len(photos))
    keys = [PhotoKey(job.key.sku, job.key.sha256, "default") for job in known]
    shop.ledger.batches.start(
        keys,
        what=f"theme default for {len(keys)} products",
        by="ann",
        estimate=Decimal("0.05") * len(keys),
    )
    shop.ledger.batches.release(4)
    shop.materialize(keys[:3])


def pages_of(shop: World) -> dict[str, str]:
    """Where each page is, by name."""
    done = shop.ledger.jobs.find(JobQuery(theme="kitchen"), limit=3)[1]
    failed = shop.ledger.dashboard.given_up(1)[0]
    batch = shop.ledger.batches.newest()[0]
    pages = {
        "dashboard": "/?days=7",
        "jobs": "/jobs",
        "job": f"/jobs/{done.id}",
        "failed": f"/jobs/{failed.id}",
        "batches": "/batches",
        "batch": f"/batches/{batch.id}",
        "batch-new": "/batches/new",
        "review": "/review",
        "gallery": "/gallery",
        "themes": "/themes",
        "login": "/login",
        "nothing-like-that": "/jobs?sku=nothing",
        "not-found": "/jobs/unknownunknown12",
    }
    return {name: shop.api_url + path for name, path in pages.items()}


@contextmanager
def dagster_ui(shop: World) -> Iterator[dict[str, str]]:
    """Dagster's web server over the shop's instance; gives its pages by name."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    command = (sys.executable, "-m", "dagster_webserver", "-w", str(ROOT / "workspace.yaml"))
    program = Program(
        "dagster", (*command, "-h", HOST, "-p", str(port)), health=f"{url}/server_info"
    )
    environment = {**os.environ, "DAGSTER_HOME": shop.instance.root_directory}
    logs = shop.settings.data_dir / "logs"
    with Stack(environment, folder=ROOT, logs=logs, grace_seconds=2) as stack:
        stack.start(program)
        stack.wait_until_ready()
        done = shop.ledger.jobs.find(JobQuery(theme="kitchen"), limit=3)[1]
        partition = quote(done.key.partition_key, safe="")
        upstream = "view=lineage&lineageScope=upstream&lineageDepth=5"
        yield {
            "dagster-assets": f"{url}/assets/shopify_media?{upstream}",
            "dagster-partitions": f"{url}/assets/composite?view=partitions&partition={partition}",
        }


def shoot(page: Page, url: str, *, whole: bool) -> Image.Image:
    """Show a page with all its pictures, and keep what is seen."""
    page.goto(url)
    page.evaluate("document.querySelectorAll('img').forEach(each => { each.loading = 'eager' })")
    page.wait_for_load_state("networkidle")
    if page.locator("main").count() == 0:  # Dagster's, which goes on drawing, and greets
        skip = page.get_by_role("button", name="Skip")
        with suppress(NotShown):
            skip.click(timeout=5000)
        page.wait_for_timeout(3000)
    return Image.open(io.BytesIO(page.screenshot(full_page=whole)))


def shoot_for_readme(browser: Browser, pages: Mapping[str, str], folder: Path) -> None:
    """The pictures of the README."""
    for name, (width, height) in SHOWN:
        page = browser.new_page(viewport={"width": width, "height": height})
        kind = "-phone" if width == PHONE[0] else ""
        file = folder / f"{name}{kind}.webp"
        shoot(page, pages[name], whole=False).save(file, quality=QUALITY, method=6)
        page.close()


def shoot_all(browser: Browser, pages: Mapping[str, str], folder: Path) -> None:
    """All pages to their ends, wide and narrow, light and dark."""
    for kind, (width, height) in (("desktop", DESKTOP), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            for name, url in pages.items():
                shoot(page, url, whole=True).save(folder / f"{name}-{kind}-{scheme}.png")
            page.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--cache", type=Path, default=ROOT / "demo" / "downloads")
    parser.add_argument("--all", type=Path, help="a folder for every page, to look at")
    given = parser.parse_args(arguments)
    with filled_world(given.cache) as shop, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        pages = pages_of(shop)
        folder = given.all or given.out
        folder.mkdir(parents=True, exist_ok=True)
        if given.all:
            shoot_all(browser, pages, folder)
        else:
            with dagster_ui(shop) as ui:
                shoot_for_readme(browser, pages | ui, folder)
        browser.close()


if __name__ == "__main__":
    main()
