"""Two real processes that take the same photos up at once; more in `benchmarks.two_processes`."""

from pathlib import Path

import pytest

from benchmarks.two_processes import compete
from photopipe_dagster_tests.support.world import world

PHOTOS = 6


@pytest.mark.parametrize("themes", [("default", "default"), ("default", "luxury")], ids=str)
def test_two_processes_buy_and_publish_each_photo_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    themes: tuple[str, str],
):
    with world(tmp_path, monkeypatch, DATABASE_URL=database_url) as shop:
        outcome = compete(shop, PHOTOS, themes)
        assert outcome.failures == ()
        assert outcome.sound, outcome
        attempts = {row["stage"]: row["attempts"] for row in shop.ledger.spending.by("stage")}
        assert attempts == {"mask": PHOTOS, "background": PHOTOS * len(set(themes))}
        for asset in ("original", "mask", "background", "composite", "shopify_media"):
            assert len(shop.materialized(asset)) == PHOTOS * len(set(themes))
