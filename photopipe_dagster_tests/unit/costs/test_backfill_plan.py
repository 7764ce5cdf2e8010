"""Which photos a backfill is about, and what it would cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import ErrorCode, JobError, PhotopipeError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.backfill_plan import (
    BatchRequest,
    Changed,
    Failed,
    InTheme,
    Selection,
    price,
    select_photos,
)
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations.themes import copy_theme, edit_theme
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.model import Theme
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.support.world import photo_of_a_mug, world

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Shop:
    """A ledger with jobs as runs would have left them, and prices of Freepik."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = NOON
        self.ledger = Ledger(settings.ledger_url, clock=lambda: self.now)

    def new(self, sku: str, theme: str = "default") -> PhotoKey:
        key = PhotoKey(sku, f"{len(sku):064x}", theme)
        self.ledger.transitions.begin(key, "run", again=True)
        return key

    def done(self, sku: str, theme: str = "default") -> PhotoKey:
        key = self.new(sku, theme)
        self.ledger.transitions.advance(key.job_id, JobStatus.DONE, published=("p", "m"))
        return key

    def failed(self, sku: str, code: ErrorCode, *, retryable: bool = False) -> PhotoKey:
        key = self.new(sku)
        error = JobError("No.", code=code, retryable=retryable)
        self.ledger.transitions.fail(key.job_id, error)
        return key

    def select(self, wanted: BatchRequest) -> Selection:
        return select_photos(self.settings, self.ledger, object_store(self.settings), wanted)

    def price(self, selection: Selection) -> Decimal:
        return price(self.settings, self.ledger, object_store(self.settings), selection)

    def found(self, wanted: BatchRequest) -> list[str]:
        return sorted(key.sku for key in self.select(wanted).keys)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    new_ledger(tmp_path)
    settings = Settings(
        _env_file=None, data_dir=tmp_path, ai_provider="freepik", freepik_api_key="key"
    )
    shop = Shop(settings)
    yield shop
    shop.ledger.close()


def test_known_photos_are_set_in_another_theme_and_strangers_are_named(shop: Shop):
    shop.done("A")
    shop.done("BB")
    shop.done("BB", "luxury")
    asked = ["BB", "A", "nobody's", "A", "x" * 300, "nul\0"]
    found = shop.select(InTheme("luxury", asked))
    assert found.keys == (PhotoKey("A", f"{1:064x}", "luxury"),)
    assert found.unknown == ("nobody's", "x" * 300, "nul\0")
    assert found.done == 1
    assert found.what == "theme luxury for 2 products"
    assert shop.price(found) == Decimal("0.07"), "nothing is stored: a cut-out and a background"
    assert shop.found(InTheme("kitchen")) == ["A", "BB"]
    assert shop.found(InTheme("kitchen", ["BB"])) == ["BB"]


def test_more_skus_than_a_database_takes_at_once(shop: Shop):
    shop.done("A")
    found = shop.select(InTheme("luxury", [f"SKU-{number}" for number in range(3000)] + ["A"]))
    assert len(found.keys) == 1
    assert len(found.unknown) == 3000


def test_failures_are_chosen_by_code_and_moment(shop: Shop):
    shop.failed("A", ErrorCode.SHOPIFY_ERROR)
    shop.now += timedelta(days=1)
    shop.failed("BB", ErrorCode.SHOPIFY_ERROR)
    shop.failed("CCC", ErrorCode.S3_ERROR)
    shop.failed("DDDD", ErrorCode.S3_ERROR, retryable=True)
    assert shop.found(Failed()) == ["A", "BB", "CCC"], "what is retried automatically is not lost"
    assert shop.found(Failed([ErrorCode.SHOPIFY_ERROR])) == ["A", "BB"]
    assert shop.found(Failed(since=shop.now)) == ["BB", "CCC"]
    only = shop.select(Failed([ErrorCode.S3_ERROR], NOON + timedelta(hours=1)))
    assert only.what == "failed with S3_ERROR since 2026-11-01 13:00 UTC"
    assert [key.sku for key in only.keys] == ["CCC"]


def test_what_a_person_stopped_or_rejected_does_not_come_back(shop: Shop):
    shop.ledger.intake.submit(PhotoKey("A", "a" * 64, "default"), "webhook")
    shop.ledger.transitions.cancel(PhotoKey("A", "a" * 64, "default").job_id, by="ann")
    rejected = shop.new("BB")
    shop.ledger.transitions.hold(rejected.job_id, ["The halo is wide."], "c" * 64)
    shop.ledger.reviews.reject(rejected.job_id, by="ann", reason="no")
    shop.failed("CCC", ErrorCode.COMPOSITE_ERROR)
    for wanted in (Failed(), InTheme("default"), InTheme("default", ["A", "BB", "CCC"])):
        found = shop.select(wanted)
        assert [key.sku for key in found.keys] == ["CCC"], wanted
        assert (found.stopped, found.done) == (2, 0)
    assert shop.found(InTheme("luxury")) == ["A", "BB", "CCC"], "it was stopped in one theme"
    assert shop.select(Failed([ErrorCode.COMPOSITE_ERROR])).stopped == 0
    assert shop.select(Failed(since=shop.now + timedelta(days=1))).stopped == 0


def test_what_a_person_stopped_and_retried_is_wanted_again(shop: Shop):
    key = PhotoKey("A", "a" * 64, "default")
    shop.ledger.intake.submit(key, "webhook")
    shop.ledger.transitions.cancel(key.job_id, by="ann")
    shop.ledger.transitions.retry(key.job_id)
    found = shop.select(InTheme("default"))
    assert (found.keys, found.stopped) == ((key,), 0)


@pytest.mark.parametrize("wanted", [InTheme("none"), Changed("none")])
def test_a_theme_that_does_not_exist_is_refused(shop: Shop, wanted: BatchRequest):
    with pytest.raises(PhotopipeError, match="no theme 'none'; choose one of default"):
        shop.select(wanted)


def test_only_another_prompt_makes_a_picture_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with world(tmp_path, monkeypatch) as shop:
        shop.stock("MUG-1")
        photo = photo_of_a_mug(1)
        keys = [shop.announce("MUG-1", photo, theme) for theme in ("kitchen", "luxury")]
        shop.materialize(keys)

        def planned(theme: str | None) -> tuple[set[PhotoKey], Decimal]:
            services = shop.settings, shop.ledger, shop.store
            found = select_photos(*services, Changed(theme))
            return set(found.keys), price(*services, found)

        assert planned(None) == (set(), Decimal(0))
        other = replace(THEMES["kitchen"], prompt="A kitchen by night")
        monkeypatch.setitem(THEMES, "kitchen", other)
        assert planned("luxury") == (set(), Decimal(0))
        assert planned(None) == ({keys[0]}, Decimal("0.05")), "the cut-out is found again"
        assert planned("kitchen") == planned(None)


def test_another_light_remakes_the_pictures_and_buys_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with world(tmp_path, monkeypatch) as shop:
        services = shop.settings, shop.ledger, shop.store
        first = copy_theme(shop.settings, shop.ledger, "kitchen", "ours", by="Ann").theme
        shop.stock("MUG-1")
        key = shop.announce("MUG-1", photo_of_a_mug(1), "ours")
        shop.materialize([key])
        bought = len(shop.charges())

        def planned(draft: Theme | None = None) -> tuple[tuple[PhotoKey, ...], Decimal]:
            found = select_photos(*services, Changed("ours", draft))
            return found.keys, price(*services, found, draft=draft)

        def picture() -> bytes:
            stored = shop.store.get(key.object_key(Stage.COMPOSITE))
            assert stored is not None
            return stored.data

        assert first.light is not None
        darker = replace(first, light=replace(first.light, cast=0.9))
        assert planned() == ((), Decimal(0))
        assert planned(replace(first, alt="on marble")) == ((), Decimal(0))
        assert planned(replace(first, prompt="A kitchen by night")) == ((key,), Decimal("0.05"))
        assert planned(darker) == ((key,), Decimal(0))
        assert planned() == ((), Decimal(0)), "nothing is saved by asking"
        edit_theme(shop.settings, shop.ledger, darker, based_on=1, by="Ann")
        assert planned() == ((key,), Decimal(0))
        before = picture()
        assert shop.ledger.jobs.require(key.job_id).theme_revision == 1
        shop.materialize([key])
        assert picture() != before
        assert shop.ledger.jobs.require(key.job_id).theme_revision == 2
        assert planned() == ((), Decimal(0))
        assert len(shop.charges()) == bought
