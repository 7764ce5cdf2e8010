"""Makes the README's screenshots: the pages over the demo's photos and the stand-ins, in Chromium.

    .venv/bin/python docs/make_screenshots.py

About 20 MB are downloaded at first. Nothing here reaches a shop, a bucket or a paid account.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import Table, update

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from photopipe_dagster.demo.photos import DemoPhoto, demo_photos  # noqa: E402
from photopipe_dagster.demo.sandbox import sandbox_config  # noqa: E402
from photopipe_dagster.ledger.overview import JobSearch  # noqa: E402
from photopipe_dagster.ledger.tables import jobs, spending, steps  # noqa: E402
from photopipe_dagster.photo import PhotoKey  # noqa: E402
from photopipe_dagster.settings import Settings  # noqa: E402
from photopipe_dagster_tests.browser import find_chromium  # noqa: E402
from photopipe_dagster_tests.world import World, world  # noqa: E402

THEMES = ("kitchen", "outdoors", "luxury", "minimal")
APPROVED_FIRST = "outdoors"
WIDTHS = {"desktop": (1280, 860), "phone": (390, 844)}
DAYS = 7


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
        shop.materialize([_announced(shop, photo, theme) for photo in photos for theme in THEMES])
        _spread_over_days(shop)
        for photo in photos[2:5]:
            shop.announce(photo.subject.sku, photo.jpeg, "default")
        yield shop


def _announced(shop: World, photo: DemoPhoto, theme: str) -> PhotoKey:
    return shop.announce(photo.subject.sku, photo.jpeg, theme)


def _spread_over_days(shop: World) -> None:
    """Move what has just happened into the past week, as if the photos had come one by one."""
    found = shop.ledger.overview.search(JobSearch(), limit=1000)
    with shop.ledger.database.write() as connection:
        for number, job in enumerate(found):
            back = timedelta(days=DAYS * number**2 / len(found) ** 2)
            moved = {name: getattr(job, name) for name in _MOMENTS}
            values = {name: moment - back for name, moment in moved.items() if moment}
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
            for table, column in ((steps, "ended_at"), (spending, "created_at")):
                _move(connection, table, column, job.id, back)


_MOMENTS = ("created_at", "updated_at", "queued_at", "started_at", "completed_at", "failed_at")


def _move(connection, table: Table, column: str, job_id: str, back: timedelta) -> None:
    for row in connection.execute(table.select().where(table.c.job_id == job_id)).all():
        moment = getattr(row, column) - back
        connection.execute(update(table).where(table.c.id == row.id).values({column: moment}))


def pages_of(shop: World) -> dict[str, str]:
    """The pages that are shown, by name."""
    done = shop.ledger.overview.search(JobSearch(theme="kitchen"), limit=3)[1]
    failed = shop.ledger.overview.given_up(1)[0]
    return {
        "dashboard": "/?days=7",
        "jobs": "/jobs",
        "job": f"/jobs/{done.id}",
        "failed": f"/jobs/{failed.id}",
        "review": "/review",
        "gallery": "/gallery",
        "themes": "/themes",
    }


def shoot(page: Page, base: str, path: str, file: Path) -> None:
    """Show a page with all its pictures, and keep what is seen."""
    page.goto(base + path)
    page.evaluate("document.querySelectorAll('img').forEach(each => { each.loading = 'eager' })")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=file, full_page=True, type="jpeg", quality=80)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--cache", type=Path, default=ROOT / "demo" / "downloads")
    parser.add_argument("--only", nargs="*", help="names of pages")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    with filled_world(given.cache) as shop, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for kind, (width, height) in WIDTHS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            for name, path in pages_of(shop).items():
                if not given.only or name in given.only:
                    shoot(page, shop.api_url, path, given.out / f"{name}-{kind}.jpg")
        browser.close()


if __name__ == "__main__":
    main()
