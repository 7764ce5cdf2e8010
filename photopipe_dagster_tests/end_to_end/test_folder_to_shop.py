"""A new user's way, as docs/sources.md has it: a folder of photos, no inventory system, a shop."""

from __future__ import annotations

import dagster as dg
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.sensors.sources import source_sensors
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.support.world import photo_of_a_mug, world

SKUS = ("MUG-1", "MUG-1-XL", "CAFÉ #2")
NAMES = ("MUG-1_front.jpg", "MUG-1-2.jpg", "MUG-1-XL.jpg", "CAFÉ #2 (2).jpg", "IMG_0001.jpg")


def test_a_folder_of_photos_ends_on_the_products_of_the_shop(tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(photo_of_a_mug(number))
    environment = {
        "SOURCES": "folder",
        "FOLDER_SOURCE": str(folder),
        "FOLDER_SOURCE_SECONDS": "1",
        "FOLDER_SOURCE_QUIET_SECONDS": "0",
    }
    with world(tmp_path, monkeypatch, **environment) as shop:
        shop.stock(*SKUS)
        shop.sandbox.state.clock.advance(60)  # the shop's index lags behind
        preview = CliRunner().invoke(app, ["import", str(folder), "--dry-run"])
        assert "4 of 3 products, 1 not matched" in preview.stdout
        assert shop.ledger.jobs.stats().total == 0
        (sensor,) = (each for each in source_sensors() if each.name == "folder_poll")

        def look() -> str:
            context = dg.build_sensor_context(
                instance=shop.instance, resources={"photopipe": PhotopipeResource()}
            )
            (skip,) = list(sensor(context))
            return skip.skip_message

        assert look().startswith("5 photos listed by the folder: 4 new, 0 known, 0 refused, 1 in")
        jobs = shop.ledger.jobs.find(JobQuery(), limit=9)
        assert shop.materialize([job.key for job in jobs]).success
        assert {job.status for job in shop.ledger.jobs.find(JobQuery(), limit=9)} == {
            JobStatus.DONE
        }
        media = {
            product.variants[0].sku: len(product.media_ids)
            for product in shop.sandbox.state.shopify.products.values()
        }
        assert media == {"MUG-1": 2, "MUG-1-XL": 1, "CAFÉ #2": 1}
        assert "0 new" in look()
        [waiting] = shop.ledger.source_files.waiting()
        assert waiting.name == "IMG_0001.jpg"
        assert sorted(path.name for path in (folder / "done").iterdir()) == sorted(NAMES[:4])
